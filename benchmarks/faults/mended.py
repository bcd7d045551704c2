"""What the campaign found, and the subject of the commit that mended it, by point."""

LIMITS = (
    "Whole numbers, NaN, truth values and keys given twice have limits and a sentence; a campaign "
    "of bad input"
)
SUMS = (
    "A checkpoint is compared with its checksums, a network with its digest, and a run folder has "
    "one process"
)
ENDS = (
    "A search is finished when its figures are there, a resumed run removes every leftover, "
    "damaged packed tables are named"
)
HEADERS = "Whatever a damaged array leads numpy to is one sentence"
BOMBS = "Files that unpack to far more than they are have a limit and a sentence"
FUZZED = (
    "Fuzzing of every reader; YAML dates that do not exist, changed descriptions and empty label "
    "matrices are one sentence"
)
BREAKS = (
    "Line breaks of names stay out of messages; a text of one term, means of another type; odd "
    "circumstances: clocks, decimal commas, closed outputs, many runs at once"
)
CLOSED = (
    "Outputs that are closed from the start, an export that cannot be run and flags that YAML "
    "trips over; bounds of setup.py tried, .ci/lower-bounds; sockets closed by an audit hook; long "
    "test files divided"
)
WHEELS = "The lower bound of scipy is a release that was not withdrawn"

MENDED = {
    "kills": [
        ("A kill while a figure was drawn left a temporary file in `figures/`", ENDS),
        ("A search that was stopped between its summary and its figures had no figures", ENDS),
    ],
    "disks": [
        ("A changed bit in a checkpoint, or in model.safetensors, was read in silence", SUMS),
        ("Two processes could resume one run folder at the same time", SUMS),
    ],
    "hostile": [
        ("A packed table or .npz of a few megabytes could fill the memory", BOMBS),
        ("A damaged .gz table ended in a traceback, a damaged parquet in several lines", ENDS),
        ("A damaged header of an .npy ended in a traceback", HEADERS),
        ("The message about a YAML alias bomb wrote the whole of it", LIMITS),
    ],
    "bad_input": [
        ("`--epochs` with thirty zeros filled the memory; whole numbers have limits now", LIMITS),
        ("Infinite learning rates were accepted", LIMITS),
        ("`epochs: true` in a recipe was one epoch; a key twice was the second one", LIMITS),
        ("`--features` was ignored in silence for data sets that have none", LIMITS),
        ("NaN as a hyper-parameter was called no boolean", LIMITS),
        ("A recipe whose `model_options` is a list ended in a traceback", SUMS),
        ("Running out of memory ended in a traceback", BOMBS),
    ],
    "fuzz": [
        ("A day that does not exist in a recipe, or as a hyper-parameter, was a traceback", FUZZED),
        ("A changed entry of model.json or classifier.json could end in a traceback", FUZZED),
        ("A network whose weights are NaN gave NaN as probabilities, in silence", FUZZED),
        ("Labels of shape (0, 0) in an .npy ended in a traceback", FUZZED),
        ("A table whose texts have a single term ended in a traceback", BREAKS),
        ("A line break in the name of a column made several lines of a message", BREAKS),
        ("A mean of float64 in model.safetensors ended in a traceback", BREAKS),
    ],
    "circumstances": [
        ("A command whose stdout was closed from the start ended in a traceback", CLOSED),
        (
            "The rows of decimal commas and of a HOME without write permission tried nothing where "
            "the locale was missing and root ran them",
            BREAKS,
        ),
    ],
    "supply": [
        ("scipy 1.11.0, the lower bound, had been withdrawn for a licence that it broke", WHEELS),
        ("TensorBoard 2.16.0, the lower bound, brought a nightly TensorFlow", CLOSED),
        (
            "onnxscript 0.5, the lower bound, wrote a file that ONNX Runtime refuses; the export "
            "left it behind",
            CLOSED,
        ),
        ("A dependency that pip-audit had passed over was counted as free of weaknesses", FUZZED),
    ],
}
