"""A table over sets as users have them, beside what else finds wrong labels.

    mwnet table own_data --data-root ../shared/data/own --half even --jobs 2
    mwnet table report runs/own_data-even --into docs/RESULTS.md

A table file of ``kind: own-data`` lists ``sets:`` and ``noises:`` in the place of columns::

    kind: own-data
    sets: [letter, pendigits, jira_defects_a]
    noises: [uniform 0.2, uniform 0.4, near-class 0.3, instance 0.3]
    rows:
      plain: {method: erm, meta_size: 0}
      cleanlab, forest: {command: cleanlab-forest}
    seeds: [0, 1, 2]

A row is a method of mwnet with its options, a rival (``rivals.py``), or ``command: true-labels``:
plain training on the true labels. True labels enter no other row, but for the meta set of a method
that is given a clean one.

Each set gets each noise, but for those whose given labels are wrong by themselves. ``--half even``
takes the sets at even positions of the list, the first is at 0. ``--data-root`` is the folder of
the sets.

``sets.py`` reads a set; ``prepare.py`` divides it, prepares its features once, draws the noise and
writes ``OUT/sets/SET/NOISE/seed-S.npz``; ``cells.py`` runs a row on it and measures; ``rivals.py``
has the rows that are no methods; ``report.py`` compares.
"""
