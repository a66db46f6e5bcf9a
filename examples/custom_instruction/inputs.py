"""Arrays for by_hand.s, saved here."""

import numpy as np

random = np.random.default_rng(0)
for name, shape in (("x", (150, 70)), ("z", (150, 70)), ("w", (70,))):
    np.save(f"{name}.npy", random.normal(size=shape).astype(np.float32))
