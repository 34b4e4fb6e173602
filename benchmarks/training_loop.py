"""How fast the course trains: its minibatches from memory against Gluon's DataLoader.

Both train the same hybridized network (784-256-256-10, ReLU) on Fashion-MNIST with the same loop,
d2l.fit. One takes minibatches from arrays in memory (d2l.Minibatches), the other from a DataLoader
that converts image by image (ToTensor), as Gluon's own examples do. Each runs in a process of its
own, so that the peak of its memory is its own; speeds are the best of five rounds, since other
programs can only slow a round down.

    python benchmarks/training_loop.py

Exits with status 1 when a ratio or the memory misses its bar.
"""

import itertools
import json
import os
import resource
import subprocess
import sys

BATCH_SIZE, NUM_BATCHES, ROUNDS = 256, 100, 5
#: d2l's speed over the DataLoader's, at least. Training gains less than loading: with minibatches
#: from memory the arithmetic of the network is nearly all that is left.
RATIOS = {"loading": 8, "training": 2}
#: Peak memory of either process in MB, below.
MEMORY = 1500


def from_memory(data):
    import d2l
    return d2l.Minibatches(data.train_images, data.train_labels, batch_size=BATCH_SIZE)


def from_loader(data):
    from mxnet import gluon, np
    images = np.array((data.train_images * 255).round()[..., None], dtype="uint8")
    dataset = gluon.data.ArrayDataset(images, data.train_labels)
    to_tensor = gluon.data.vision.transforms.ToTensor()
    return gluon.data.DataLoader(dataset.transform_first(to_tensor), BATCH_SIZE, shuffle=True)


VARIANTS = {"d2l.Minibatches": from_memory, "gluon DataLoader": from_loader}


class FirstBatches:
    """The first minibatches of each pass: whole passes of the DataLoader take too long here."""

    def __init__(self, minibatches):
        self._minibatches = minibatches

    def __iter__(self):
        return itertools.islice(self._minibatches, NUM_BATCHES)


def measure(variant):
    """Return images per second, loading only and training, and the process's peak memory in MB."""
    import d2l
    from mxnet import gluon, init
    from mxnet.gluon import nn

    d2l.seed(0)
    minibatches = FirstBatches(VARIANTS[variant](d2l.load_fashion_mnist()))
    net = nn.HybridSequential()
    net.add(nn.Dense(256, activation="relu"), nn.Dense(256, activation="relu"), nn.Dense(10))
    net.initialize(init.Xavier())
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})

    def load():
        with d2l.Timer() as timer:
            for _ in minibatches:
                pass
        return timer.seconds

    def train():
        return d2l.fit(net, minibatches, d2l.softmax_cross_entropy, trainer.step, epochs=1,
                       progress=False).seconds.iloc[-1]

    num_images = NUM_BATCHES * BATCH_SIZE
    loading, training = (num_images / min(task() for _ in range(ROUNDS)) for task in (load, train))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, else KB
    return {"loading": loading, "training": training,
            "memory": peak / (1e6 if sys.platform == "darwin" else 1e3)}


def main():
    """Measure each variant in its own process, print the table, return the exit status."""
    results = {}
    for variant in VARIANTS:
        process = subprocess.run([sys.executable, __file__, variant], check=True, text=True,
                                 stdout=subprocess.PIPE, env={"OMP_NUM_THREADS": "1", **os.environ})
        results[variant] = json.loads(process.stdout.splitlines()[-1])
    ours, theirs = results.values()

    print(f"{'images/s':<18}{'loading':>12}{'training':>12}{'peak MB':>12}")
    for variant, result in results.items():
        print(f"{variant:<18}{result['loading']:>12,.0f}{result['training']:>12,.0f}"
              f"{result['memory']:>12,.0f}")
    ratios = {task: ours[task] / theirs[task] for task in RATIOS}
    print(f"{'ratio':<18}{ratios['loading']:>12.1f}{ratios['training']:>12.1f}")
    print(f"{'bar':<18}{RATIOS['loading']:>12.1f}{RATIOS['training']:>12.1f}{MEMORY:>12,}")
    missed = any(ratios[task] < bar for task, bar in RATIOS.items())
    return int(missed or max(ours["memory"], theirs["memory"]) >= MEMORY)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        sys.exit(main())
