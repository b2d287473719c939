"""Child processes: started, fed, replaced and ended in one place."""
