"""Every error dmef raises on purpose: what is wrong, where, and how to mend it."""


class DmefError(Exception):
    """Base of all errors that dmef raises on purpose.

    ``exit_code`` is what the command line ends with when nobody handles the error:
    2 usage, 3 preflight or a required asset missing, 4 partial result or bad data.
    """

    exit_code = 4


class UsageError(DmefError, ValueError):
    """A request that contradicts itself or names something that does not exist."""

    exit_code = 2


class ImageContractError(DmefError, ValueError):
    """A picture that breaks the contract: float32 (H, W, 3) RGB in [0, 1], or its stored bytes."""


class ImageFileError(DmefError, ValueError):
    """A picture file that cannot be read or written as dmef needs it."""


class ManifestError(DmefError, ValueError):
    """A data set whose manifest is damaged, hostile, or does not fit what lies on disk."""


class MethodNotFoundError(DmefError, LookupError):
    """No fusion method answers to this name."""

    exit_code = 2


class ProtocolMismatchError(DmefError, ValueError):
    """Records measured under different rules were asked to share one table."""

    exit_code = 2


class RecordError(DmefError, ValueError):
    """A saved result that cannot be read: another schema, or damaged."""


class CheckpointError(DmefError, ValueError):
    """A weights file that is damaged, holds more than tensors, or belongs to another network."""

    exit_code = 3


class VideoError(DmefError, ValueError):
    """A video that is refused, with the reason."""


class UnavailableError(DmefError, RuntimeError):
    """Something required is missing: weights, a package, a device, room on the disk."""

    exit_code = 3
