"""How tests are shared out among several processes."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

# Their files share what takes long to start: an Airflow, a browser with a day to look at, the DAGs as they are read.
TOGETHER = ("tests/integration/dags/", "tests/integration/page/", "tests/unit/dags/")


class WholeFilesAndFolders(LoadFileScheduling):
    """A process takes a whole file at a time, and of these folders all files, so that these are started once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)
