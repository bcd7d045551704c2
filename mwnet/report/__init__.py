"""What a run leaves behind and tells the user."""

from mwnet.report.console import announce
from mwnet.report.finish import finish
from mwnet.report.folder import run_folder

__all__ = ["announce", "finish", "run_folder"]
