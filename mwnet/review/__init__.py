"""A page on which somebody looks at the suspects and decides.

The room has the name of its public function, ``mwnet.review``. Importing a file of the room puts
the room in that name, so the room can be called as well.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Path:
        from mwnet.review.write import review

        return review(*args, **options)


sys.modules[__name__].__class__ = _Room
