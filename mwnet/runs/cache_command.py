"""The command cache: say what the features of photos take, or remove them."""

from mwnet.core.commands import Parser, guarded
from mwnet.data import cache


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    return guarded("mwnet cache", lambda: _cache(argv))


def _cache(argv: list[str]) -> int:
    parser = Parser(
        "mwnet cache",
        "mwnet cache [--clear]",
        "Say where features of photos are kept and what they take: $MWNET_CACHE, or else "
        "mwnet in the user's cache folder.",
    )
    parser.add_argument("--clear", action="store_true", help="remove them")
    args = parser.parse_args(argv)
    entries, size = cache.size()
    taken = f"{entries:,} photos, {size / 2**20:.1f} MiB"
    if args.clear:
        cache.clear()
        print(f"{cache.place()}: removed the features of {taken}")
    else:
        print(f"{cache.place()}: features of {taken}")
    return 0
