"""What the released Vision Transformers were trained on: data set and class names. No torch: the workflow reads it too."""

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINED = {"vit_mnist": ("mnist", tuple("0123456789")), "vit_cifar10": ("cifar10", CIFAR10)}
