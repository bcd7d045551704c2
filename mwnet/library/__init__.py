"""What a program imports: the scikit-learn classifier, ``find_label_issues``, ``load``."""
