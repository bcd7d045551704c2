"""Options of the epochs in which the whole network of photos is trained, after its head."""

from mwnet.config.section import Section, option


class UnfreezeOptions(Section):
    """How long the network that photos go through is trained too, and how far it moves."""

    unfreeze: int = option(
        "classifier",
        0,
        "Epochs that train the whole network of photos from their pixels, after --epochs of its "
        "head.",
        ge=0,
        le=1_000_000,
        resumable=True,
    )
    # Small, so that pretrained features are not spoilt within an epoch.
    unfreeze_lr: float = option(
        "classifier", 1e-5, "Learning rate (AdamW) of the epochs of --unfreeze.", gt=0
    )
