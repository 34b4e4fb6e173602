"""How fast the course trains: its minibatches from memory against Gluon's DataLoader.

Both train the same hybridized network (784-256-256-10, ReLU) on Fashion-MNIST with the same loop,
d2l.fit. One takes minibatches from arrays in memory (d2l.Minibatches), the other from a DataLoader
that converts image by image (ToTensor), as Gluon's own examples do. Each runs in a process of its
own, so that the peak of its memory is its own. The best of five rounds counts, since other
programs can only slow a round down.

    python benchmarks/training_loop.py

Exits with status 1 when a bar is missed. The bar of training is on processor time: on a machine
that others use too, seconds say more about them than about this program.
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import time

BATCH_SIZE, NUM_BATCHES, ROUNDS = 256, 100, 5
NUM_IMAGES = BATCH_SIZE * NUM_BATCHES
#: How many times better than the DataLoader d2l has to be, at least. Training gains less than
#: loading: with minibatches from memory the network's own arithmetic is nearly all that is left.
BARS = {"loading": 8, "cpu": 3}
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
    """Measure one variant in this process.

    Returns
    -------
    dict
        "loading" and "training": images per second; "cpu": processor time of training in
        microseconds per image; "memory": peak of the process in MB.
    """
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
        for _ in minibatches:
            pass

    def train():
        d2l.fit(net, minibatches, d2l.softmax_cross_entropy, trainer.step, epochs=1,
                progress=False)

    def best(task):
        seconds, cpu_seconds = [], []
        for _ in range(ROUNDS):
            start = time.process_time()
            with d2l.Timer() as timer:
                task()
            seconds.append(timer.seconds)
            cpu_seconds.append(time.process_time() - start)
        return min(seconds), min(cpu_seconds)

    (loading, _), (training, cpu) = best(load), best(train)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"loading": NUM_IMAGES / loading, "training": NUM_IMAGES / training,
            "cpu": cpu / NUM_IMAGES * 1e6,
            "memory": peak / (1e6 if sys.platform == "darwin" else 1e3)}  # bytes there, KB here


def main():
    """Measure each variant in its own process, print the table, return the exit status."""
    results = {}
    for variant in VARIANTS:
        process = subprocess.run([sys.executable, __file__, variant], check=True, text=True,
                                 stdout=subprocess.PIPE, env={"OMP_NUM_THREADS": "1", **os.environ})
        results[variant] = json.loads(process.stdout.splitlines()[-1])
    ours, theirs = results.values()
    gains = {"loading": ours["loading"] / theirs["loading"],
             "training": ours["training"] / theirs["training"], "cpu": theirs["cpu"] / ours["cpu"]}

    print(f"{'':<18}{'loading':>12}{'training':>12}{'CPU':>12}{'peak':>12}")
    print(f"{'':<18}{'images/s':>12}{'images/s':>12}{'µs/image':>12}{'MB':>12}")
    for variant, result in results.items():
        print(f"{variant:<18}{result['loading']:>12,.0f}{result['training']:>12,.0f}"
              f"{result['cpu']:>12.1f}{result['memory']:>12,.0f}")
    print(f"{'times better':<18}" + "".join(f"{gain:>12.1f}" for gain in gains.values()))
    print(f"{'bar':<18}{BARS['loading']:>12}{'':>12}{BARS['cpu']:>12}{f'< {MEMORY:,}':>12}")
    missed = any(gains[name] < bar for name, bar in BARS.items())
    return int(missed or max(ours["memory"], theirs["memory"]) >= MEMORY)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        sys.exit(main())
