"""Tables of runs: rows of methods, columns of noise, several seeds.

    mwnet table digits_methods --jobs 2         # one that ships
    mwnet table my_table.yaml
    mwnet table report runs/digits_methods

A table file is YAML that begins with the command that runs it::

    # mwnet table configs/tables/NAME.yaml
    title: What the table shows
    base: {dataset: digits}                 # what all cells share
    columns:
      uniform 0.4: {noise: uniform, noise_rate: 0.4}
      flip2 0.4: {noise: flip2, noise_rate: 0.4}
    rows:
      plain training: {method: erm}
      RMNW-Net: {method: mwnet, meta_loss: mae, meta_noisy: true}
      GLC, warmer: {method: glc, method_options: {ramp: 4}}
      CleanLearning: {command: clean-learning}
    seeds: [0, 1, 2]

``base``, columns and rows hold options of ``mwnet train``, with underscores for dashes: the fields
of ``mwnet.config.schema.Config``; ``method_options: {ramp: 4}`` is ``--method.ramp 4``. A cell is
one training with those of base, then column, then row; as for every training the recipe
``configs/DATASET.yaml`` lies underneath, or that of ``config: FILE``. A row with ``command:
clean-learning`` is no method but cleanlab around plain training
(``mwnet.reproduce.clean_learning``). A cell has one CPU thread unless table or recipe say
otherwise, so that its numbers do not depend on ``--jobs``.

What a paper printed for these cells goes beside ours::

    paper:
      source: Author and Author (2021), Table 1
      n: 5                                  # runs behind each mean; n_assumed: true if not printed
      accuracy:                             # in %: [mean, standard deviation], or a mean
        plain training: {uniform 0.4: [68.07, 1.23]}
      auc:
        RMNW-Net: {uniform 0.4: 0.9848}
      protocol:                             # if the paper trained some rows otherwise
        note: plain training has the schedule of ...
        rows: {plain training: {lr: 0.1, lr_milestones: [82, 102]}}

All rows share a schedule unless ``--protocol paper`` asks for the paper's.

Further flags are those of ``mwnet train``, for all cells (``--device cuda``); ``--only
'method=mwnet*,noise=uniform'`` selects cells by row, column, seed or option.

The cell of a row, a column and a seed has the run folder ``OUT/ROW/COLUMN/seed-SEED``. A second
start skips finished cells, resumes interrupted ones and tries failed ones again. ``table.md``,
``table.tex``, ``cells.csv`` and ``figures/`` in OUT are made from the cells that are there: last
and best epoch, the paper's value with a Welch interval of the difference (three runs of ours at
least), average ranks with Friedman's test and Nemenyi's critical difference, seconds and peak
memory. ``mwnet table report OUT --into DOCUMENT.md`` puts the report between the lines ``<!-- NAME
-->`` and ``<!-- /NAME -->`` of a document and keeps table and cells beside it, so that anybody can
make it again.

A table of ``kind: own-data`` is described in ``mwnet.reproduce.own_data``.
"""
