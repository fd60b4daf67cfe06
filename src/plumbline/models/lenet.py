"""LeNet-5 in its modern form (LeCun et al. 1998): two convolutions, three linear layers, 61,706 weights on 32 x 32 grey images.

A chain of modules with a ReLU and a pooling module for every use, so that hooks and attribution rules that go by module
find each of them (docs/studies/explainn.md). Output: logits.
"""

import torch
from torch import nn

from ..errors import PlumblineError

KERNEL = 5


def halved(images):
    """Take the largest of every 2 x 2 pixels; an odd last row or column is left out, as in `MaxPool2d(2)`.

    Without a gradient these are two maxima of slices, which take a tenth of the time of torch's `max_pool2d` on a CPU. With one
    it is torch's: of equal pixels the first has the whole gradient.

    Parameters
    ----------
    images : torch.Tensor, float, shape (batch, channels, height, width)
        What enters the pooling.

    Returns
    -------
    torch.Tensor, float, shape (batch, channels, height // 2, width // 2)
    """
    if images.requires_grad and torch.is_grad_enabled():
        return nn.functional.max_pool2d(images, 2)
    height, width = (side // 2 * 2 for side in images.shape[2:])
    rows = torch.maximum(images[:, :, 0:height:2, :width], images[:, :, 1:height:2, :width])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def _pool():
    """A module of the type that captum's rules go by; an instance's attribute hides the class's forward."""
    module = nn.MaxPool2d(2)
    module.forward = halved
    return module


class LeNet(nn.Sequential):
    """LeNet-5: images float (batch, channels, image_size, image_size) -> logits (batch, classes).

    Parameters
    ----------
    image_size : int
        The side of an image in pixels.
    channels : int
        Of an image.
    classes : int
        Logits.

    Raises
    ------
    PlumblineError
        For images too small for two convolutions of 5 x 5 with pooling.
    """

    causal_layers = ("conv1", "conv2", "fc1", "fc2", "fc3")  # from the input up

    def __init__(self, *, image_size=32, channels=1, classes=10):
        side = ((image_size - KERNEL + 1) // 2 - KERNEL + 1) // 2
        if side < 1:
            raise PlumblineError(f"LeNet reads images of 16 pixels a side or more, not {image_size}")
        super().__init__()
        for name, module in (
            ("conv1", nn.Conv2d(channels, 6, KERNEL)),
            ("relu1", nn.ReLU()),
            ("pool1", _pool()),
            ("conv2", nn.Conv2d(6, 16, KERNEL)),
            ("relu2", nn.ReLU()),
            ("pool2", _pool()),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(16 * side * side, 120)),
            ("relu3", nn.ReLU()),
            ("fc2", nn.Linear(120, 84)),
            ("relu4", nn.ReLU()),
            ("fc3", nn.Linear(84, classes)),
        ):
            self.add_module(name, module)

    @staticmethod
    def scaling(channels):
        """Choose mean and standard deviation that pixels in [0, 1] are scaled by: none of grey images, 0.5 of colour.

        Parameters
        ----------
        channels : int
            Of an image.

        Returns
        -------
        dict of str to list of float
            mean and std, one number a channel.
        """
        centre, spread = (0.0, 1.0) if channels == 1 else (0.5, 0.5)
        return {"mean": [centre] * channels, "std": [spread] * channels}
