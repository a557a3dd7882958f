"""Count each strategy's head parameters and multiply-adds; check them by formulas.

    python benchmarks/bench_costs.py [--features 256] [--heads 2] [--beam 10]

No weights are allocated (torch's meta device), so a million labels cost nothing. The
counts are those of the modules. Each is compared with the value of a formula, and the
command fails if any differs.
"""

import argparse
import math
import sys

import torch

from skmhe import LabelCodec
from skmhe.nn import CascadeHead, FullHead, ProductHead, SamplingHead

N_LABELS = (10**3, 10**4, 10**5, 10**6)


def make_heads(d, sizes, n_labels, beam):
    with torch.device("meta"):
        return {
            "full": FullHead(d, n_labels),
            "product": ProductHead(d, sizes, n_labels),
            "cascade": CascadeHead(d, sizes, n_labels, beam_width=beam),
            "sampling": SamplingHead(d, n_labels, group_size=sizes[-1]),
        }


def formulas(d, sizes, n_labels, beam):
    """Return {strategy: (weights and biases, multiply-adds of a prediction)}."""
    # The cascade's prefixes of each level, and how many of their children it scores.
    nodes = [-(-n_labels // math.prod(sizes[h + 1 :])) for h in range(len(sizes))]
    scored, candidates = nodes[0], nodes[0]
    for size in sizes[1:]:
        candidates = min(beam, candidates) * size
        scored += candidates
    return {
        "full": ((d + 1) * n_labels, d * n_labels),
        "product": ((d + 1) * sum(sizes), d * sum(sizes)),
        "cascade": ((d + 1) * sum(nodes), d * scored),
        "sampling": ((d + 1) * n_labels, d * n_labels),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=256, help="features d")
    parser.add_argument("--heads", type=int, default=2, help="number of heads H")
    parser.add_argument("--beam", type=int, default=10, help="beam width b")
    args = parser.parse_args()
    d, beam = args.features, args.beam
    print(f"d = {d} features, {args.heads} heads, beam of {beam} prefixes\n")
    header = f"{'C':>9}  {'head sizes':<16}{'strategy':<10}"
    print(
        f"{header}{'parameters':>14}{'of full':>9}{'multiply-adds':>15}{'of full':>9}"
    )
    wrong = 0
    for n_labels in N_LABELS:
        sizes = LabelCodec(n_labels, n_heads=args.heads).head_sizes
        expected = formulas(d, sizes, n_labels, beam)
        for name, head in make_heads(d, sizes, n_labels, beam).items():
            counted = (sum(p.numel() for p in head.parameters()), head.multiply_adds())
            wrong += counted != expected[name]
            parameters, macs = counted
            print(
                f"{n_labels:>9}  {sizes!s:<16}{name:<10}"
                f"{parameters:>14,}{parameters / expected['full'][0]:>9.2%}"
                f"{macs:>15,}{macs / expected['full'][1]:>9.2%}"
                f"{'' if counted == expected[name] else f'  expected {expected[name]}'}"
            )
    print(f"\n{wrong} of {4 * len(N_LABELS)} rows differ from the formulas")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
