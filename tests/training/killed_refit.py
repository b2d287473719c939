"""Fine-tune the default model into a folder that holds a model, once for each change of the file system, and die after it.

    python killed_refit.py DATA MODEL EARLIER FOLDER

copies EARLIER to FOLDER/1, FOLDER/2, … and fine-tunes MODEL on DATA into each, in a process that dies after its first,
second, … change, until one comes to its end. Prints a word per process: "killed" or "done".
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paraisite import outputs
from paraisite.models.interface import RefitOptions
from paraisite.training.finetune import finetune
from paraisite.training.multi_fidelity import refit
from paraisite.training.multi_fidelity.fit import fit_multi_fidelity


def die_after(number: int) -> None:
    """Die after so many changes of names or removals of files."""
    left = [number]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return called

    for owner, name in ((Path, "replace"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir"), (shutil, "rmtree")):
        setattr(owner, name, counted(getattr(owner, name)))
    outputs._exchange = counted(outputs._exchange)


def main(data: str, model: str, earlier: str, folder: str) -> None:
    """Fork a process for each change, which saves importing everything again; all take the fit from the first."""
    fitted = []

    def fit_once(*arguments: Any) -> Any:
        if not fitted:
            fitted.append(fit_multi_fidelity(*arguments))
        return fitted[0]

    refit.fit_multi_fidelity = fit_once
    finetune(data, Path(folder) / "first", model=model)
    number, ended = 0, "killed"
    while ended == "killed":
        number += 1
        shutil.copytree(earlier, Path(folder) / str(number))
        child = os.fork()
        if child == 0:
            die_after(number)
            finetune(data, Path(folder) / str(number), RefitOptions(force=True), model=model)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = "killed" if os.WIFSIGNALED(status) else "done" if status == 0 else "failed"
        print(ended, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
