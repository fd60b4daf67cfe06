"""A small residual network (He et al. 2016, section 4.2): three blocks of 16, 32 and 64 channels, 0.08 million weights.

A chain of modules with a ReLU module for every use. `causal_layers` is the main path: skip connections are no layers of it.
"""

from torch import nn

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two convolutions of 3 x 3 beside a skip connection.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
        Above 1, it halves the image, and 1 x 1 weights adapt the skip connection.
    """

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.skip = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu2 = nn.ReLU()

    def forward(self, x):
        """Compute the block's output.

        Parameters
        ----------
        x : torch.Tensor of float, shape (batch, inputs, height, width)
            What enters.

        Returns
        -------
        torch.Tensor of float, shape (batch, outputs, height / stride, width / stride)
        """
        inner = self.relu1(self.norm1(self.conv1(x)))
        return self.relu2(self.norm2(self.conv2(inner)) + self.skip(x))


class ResNet(nn.Sequential):
    """The network: images float (batch, channels, image_size, image_size) -> logits (batch, classes).

    Parameters
    ----------
    image_size : int
        Not used: the weights fit any image_size.
    channels : int
        Of an image.
    classes : int
        Logits.
    """

    causal_layers = (
        "conv",
        *(f"block{number}.conv{half}" for number in range(1, len(WIDTHS) + 1) for half in (1, 2)),
        "fc",
    )

    def __init__(self, *, image_size=32, channels=3, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(channels, WIDTHS[0], 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        inputs = WIDTHS[0]
        for number, width in enumerate(WIDTHS, start=1):
            self.add_module(f"block{number}", Block(inputs, width, 1 if number == 1 else 2))
            inputs = width
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(inputs, classes)
