"""What Airflow gets to know of an error: the text of those that are written to be read, else its kind and place.

Airflow logs whatever a task dies of, with its text and those of its causes, and hands it to listeners, mails and
traces. The text of a bug, or of a library's error, may hold what a patient's row held.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar, get_type_hints

from airflow.sdk.exceptions import AirflowException

from carenotify.errors import CarenotifyError
from carenotify.logs import UnforeseenError, chain_of, hush_threads

Given = ParamSpec("Given")
Result = TypeVar("Result")


def private_errors(task: Callable[Given, Result]) -> Callable[Given, Result]:
    """Decorate the function of a task, below `@task`: what it dies of leaves it without a text that may be personal.

    What Airflow makes of it (another try, none, skipped) stays as it is, and so does the traceback, but for what the
    variables in it held: Airflow's log for developers (DEV) shows them.
    """

    @functools.wraps(task)
    def private(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        hush_threads()
        try:
            return task(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - a task that is cut off dies of one, in the middle of another
            told = _told(error)
            traceback.clear_frames(told.__traceback__)
        # Outside of `except`, where the error would hang on to it as its context.
        raise told

    # Airflow looks at what it returns, and for the names in that among those of this module.
    private.__annotations__ = get_type_hints(task)
    return private


def _told(error: BaseException) -> BaseException:
    """Itself when its text is to be read or Airflow waits for it, but without what came before; else another one."""
    if isinstance(error, Exception | SystemExit) and not isinstance(error, CarenotifyError | AirflowException):
        return UnforeseenError.of(error)  # which is tried again, as the other would be
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    error.__notes__ = [] if before is None else [f"after {chain_of(before)}"]
    error.__cause__ = error.__context__ = None
    return error
