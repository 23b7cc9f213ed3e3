"""What this machine could do at most in dot-bias, and what it does."""

from __future__ import annotations

from common import HERE, OURS, QUICK, Page, folder, save, table, worker

import cofactor as cf

# Counted in kernels/dot_bias_rows.py, for rows of 64 floats (50 factors, bias, one, zeros), two rows a rating.
LENGTH = 64
SETTLE, STEP, DOT = 8, 18, 2
"""Operations an entry: what was missed since the last touch; gradient and Adam step; the inner product."""
DIVISIONS, ROOTS = 2, 1
"""Of these, an entry of a row."""
BYTES = 2 * 3 * 4 * LENGTH


def main() -> None:
    page = Page("roofline", "dot-bias and what one core can do")
    can = worker(OURS, HERE / "ours" / "roofline.py", {}, threads=1)
    split = cf.split.random(cf.load_dataset("ml-100k", item="title"), valid=0.2, seed=42)
    with folder() as there:
        file = save(there / "rows.npz", train=split.train, valid=split.valid)
        params = {"file": file, "bs": 64, "runs": 3 if QUICK else 15}
        took = worker(OURS, HERE / "ours" / "epoch.py", params, threads=1)
    flop = LENGTH * (2 * (SETTLE + STEP) + DOT)
    slow = 2 * LENGTH * DIVISIONS / can["divisions"] + 2 * LENGTH * ROOTS / can["roots"]
    fast = (flop - 2 * LENGTH * (DIVISIONS + ROOTS)) / can["flop"]
    rows = [
        ["float32 multiply-adds (BLAS)", f"{can['flop']:.0f} GFLOP/s"],
        ["float32 divisions", f"{can['divisions']:.2f} G/s"],
        ["float32 square roots", f"{can['roots']:.2f} G/s"],
        *(
            [f"rows read and written, table of {n}", f"{can['bytes ' + n]:.0f} GB/s"]
            for n in ("ML-100k", "ML-1M", "20M")
        ),
    ]
    page.say("One core, the best of seven. Rows: 768 bytes (64 floats of weights and of both moments) in random order.")
    page.show(table(["", "measured"], rows))
    page.say(
        f"A rating touches two rows of {LENGTH} floats: {flop:,} operations, {2 * LENGTH * DIVISIONS} divisions and"
        f" {2 * LENGTH * ROOTS} square roots among them, and {BYTES:,} bytes of tables read and as many written."
        " Nanoseconds a rating that each would take alone, against one epoch of ML-100k in the kernel (batches of"
        " 64, flush included):"
    )
    ns = 1e9 * took["seconds"] / took["rows"]
    parts = [
        ["divisions and square roots", f"{slow:.0f}"],
        ["all other arithmetic at the speed of BLAS", f"{fast:.0f}"],
        ["tables through the caches, ML-100k", f"{2 * BYTES / can['bytes ML-100k']:.0f}"],
        ["tables through the caches, ML-1M", f"{2 * BYTES / can['bytes ML-1M']:.0f}"],
        ["tables from memory, 20M", f"{2 * BYTES / can['bytes 20M']:.0f}"],
        ["**measured**, ML-100k (median)", f"{ns:.0f}"],
        ["measured, ML-100k (best)", f"{1e9 * took['best'] / took['rows']:.0f}"],
    ]
    page.show(table(["", "ns a rating"], parts))
    page.say(
        f"So an epoch of ML-100k is {1000 * took['seconds']:.1f} ms, {flop / ns:.0f} GFLOP/s; divisions and roots"
        f" alone would take {100 * slow / ns:.0f} % of that."
    )
    page.write()


if __name__ == "__main__":
    main()
