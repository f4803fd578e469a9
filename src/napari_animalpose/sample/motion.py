"""Who does what when, and where they go: behaviour bouts and steering in an arena.

Behaviour is a semi-Markov chain: a state lasts for a time drawn from its own
distribution, then another follows. Bouts other than walking are dealt from a shuffled
deck that holds each of them once, so that every behaviour comes up within 30 s.
Animals walk towards goals: a place, a place beyond another animal (so paths cross), or
the rear of another animal (following).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.sample.plan import DISPLAY, REST, WALK, Floats, Species

__all__ = ["Trajectory", "simulate"]

RAMP_S = 0.12  # limbs take this long to reach a posture or to leave it
START_S = 0.16  # walks start and stop within this time
SPEED_LAG_S = 0.08  # first-order lag of speed and turning
STEER_GAIN = 4.0  # rad/s of turning per rad of heading error
WANDER_TURN = 1.6  # rad/s, standard deviation of the random turning
WANDER_LAG_S = 0.35
DIRECT_BOUT = 0.15  # share of bouts that follow without a walk between
MAX_EXTENSIONS, EXTENSION_S = 4, 0.5  # walks go on while two bodies overlap
OVERLAP_BL = 0.7
WALL_BL = 0.52  # goals keep this far from the frame's edge
HARD_WALL_BL = 0.4  # bodies never come closer to it
VISIT_SHARE, FOLLOW_SHARE = 0.40, 0.18  # of the walks of two or three animals


@dataclass(frozen=True)
class Trajectory:
    """The movement of all bodies before limbs; arrays are (F, A) unless said otherwise.

    Attributes
    ----------
    xy : float64, shape (F, A, 2)
        px.
    heading : float64
        rad, unwrapped.
    speed, turn : float64
        BL/s and rad/s.
    gait_phase, duty : float64
        Strides walked so far; stance share of the current stride.
    rhythm : float64
        Phase of the bout's rhythm, rad.
    weight : float64
        0 at the ends of a bout, 1 from `RAMP_S` after its start to `RAMP_S` before.
    behavior, side : int8
        Role; -1 left or +1 right.
    fps : float
    """

    xy: Floats
    heading: Floats
    speed: Floats
    turn: Floats
    gait_phase: Floats
    duty: Floats
    rhythm: Floats
    weight: Floats
    behavior: NDArray[np.int8]
    side: NDArray[np.int8]
    fps: float

    def doing(self, role: int) -> Floats:
        """Return the smooth weight (F, A) of one behaviour."""
        return np.asarray(np.where(self.behavior == role, self.weight, 0.0))

    def animal(self, number: int) -> Trajectory:
        """Return the movement of one animal, shape (F,) instead of (F, A)."""
        parts = {k: v[:, number] for k, v in vars(self).items() if k != "fps"}
        return Trajectory(fps=self.fps, **parts)


def smoothstep(x: float) -> float:
    """Return 3x^2 - 2x^3, clamped to 0..1."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


@dataclass(frozen=True)
class _Arena:
    width: float
    height: float
    length: float  # px per BL
    fps: float

    def clamp(self, x: float, y: float, margin_bl: float) -> tuple[float, float]:
        mx = min(margin_bl * self.length, 0.45 * self.width)
        my = min(margin_bl * self.length, 0.45 * self.height)
        return min(max(x, mx), self.width - 1 - mx), min(max(y, my), self.height - 1 - my)


class _Walker:
    """One animal while it is simulated."""

    def __init__(self, species: Species, arena: _Arena, seed: str, start: tuple[float, ...]):
        self.species, self.arena = species, arena
        self.random = random.Random(seed)
        self.x, self.y, self.heading = start
        self.v = self.w = self.wander = 0.0  # lagged speed and turning
        self.speed = self.turn = 0.0  # after the envelope of the bout
        self.phase, self.duty = self.random.choice((0.01, 0.51)), 0.7
        self.deck: list[int] = []
        self.behavior, self.first, self.last = REST, 0, 0
        self.rhythm_hz, self.side, self.extensions = 0.0, 1, 0
        self.goal = "wander"
        self.target: _Walker | None = None
        self.goal_xy = (self.x, self.y)
        self.bout_speed = 1.0
        self.begin(REST if self.random.random() < 0.3 else WALK, 0, [])

    # ------------------------------------------------------------------------- bouts
    def begin(self, behavior: int, frame: int, others: list[_Walker], seconds: float = 0) -> None:
        """Start a bout at `frame`, for a drawn duration unless `seconds` is given."""
        spec = self.species.behaviors[behavior]
        mean, low, high = spec.duration_s
        drawn = min(low + self.random.gammavariate(2.0, (mean - low) / 2.0), high)
        frames = max(int((seconds or drawn) * self.arena.fps), 4)
        self.behavior, self.first, self.last = behavior, frame, frame + frames
        self.rhythm_hz = min(self.random.uniform(*spec.rhythm_hz), self.arena.fps / 4)
        self.side = self.random.choice((-1, 1))
        if behavior == WALK:
            self.bout_speed = self.random.uniform(*self.species.locomotion.speed)
            self.choose_goal(others)
        elif behavior == DISPLAY and others:
            other = min(others, key=self.distance)  # courtship: the wing on her side
            bearing = math.atan2(other.y - self.y, other.x - self.x) - self.heading
            self.side = 1 if math.sin(bearing) > 0 else -1

    def follow_up(self, frame: int, others: list[_Walker]) -> None:
        """Choose what comes after the bout that just ended."""
        crowded = any(self.distance(o) < OVERLAP_BL * self.arena.length for o in others)
        if self.behavior == WALK and crowded and self.extensions < MAX_EXTENSIONS:
            self.extensions += 1
            self.begin(WALK, frame, [], EXTENSION_S)
            self.goal_xy = self.draw_place(min(others, key=self.distance))
            self.bout_speed = self.species.locomotion.speed[1]
            return
        self.extensions = 0
        if self.behavior != WALK and self.random.random() > DIRECT_BOUT:
            self.begin(WALK, frame, others)
            return
        if not self.deck:
            self.deck = [role for role in range(len(self.species.behaviors)) if role != WALK]
            self.random.shuffle(self.deck)
        self.begin(self.deck.pop(), frame, others)

    def choose_goal(self, others: list[_Walker]) -> None:
        """Draw where this walk leads."""
        # in a crowd paths cross anyway: meetings on purpose become rarer
        social = min(1.0, 3 / (len(others) + 1))
        shares = (VISIT_SHARE * social, FOLLOW_SHARE * social)
        drawn = self.random.choices(("visit", "follow", "wander"), (*shares, 1 - sum(shares)))
        self.goal = drawn[0] if others else "wander"
        self.target = self.random.choice(others) if others else None
        if self.goal == "visit" and self.target is not None:
            dx, dy = self.target.x - self.x, self.target.y - self.y
            beyond = 1 + 0.7 * self.arena.length / max(math.hypot(dx, dy), 1.0)
            self.goal_xy = (self.x + beyond * dx, self.y + beyond * dy)
        else:
            self.goal_xy = self.draw_place(self)
        self.goal_xy = self.arena.clamp(*self.goal_xy, WALL_BL)

    def draw_place(self, away_from: _Walker) -> tuple[float, float]:
        """Draw a place in the arena, the farthest of four from an animal."""
        places = [
            self.arena.clamp(
                self.random.random() * self.arena.width,
                self.random.random() * self.arena.height,
                WALL_BL,
            )
            for _ in range(4)
        ]
        return max(places, key=lambda p: math.hypot(p[0] - away_from.x, p[1] - away_from.y))

    def distance(self, other: _Walker) -> float:
        """Return the distance between two body origins, px."""
        return math.hypot(other.x - self.x, other.y - self.y)

    # ------------------------------------------------------------------------- moving
    def step(self, frame: int, others: list[_Walker]) -> tuple[float, ...]:
        """Advance to `frame` and return the row of the trajectory."""
        if frame >= self.last:
            self.follow_up(frame, others)
        inside = min(frame - self.first, self.last - frame) / self.arena.fps
        if self.behavior == WALK:
            self.walk(smoothstep(inside / START_S), others)
        else:
            self.v = self.w = self.speed = self.turn = 0.0
        self.stride()
        rhythm = 2 * math.pi * self.rhythm_hz * (frame - self.first) / self.arena.fps
        return (
            *(self.x, self.y, self.heading, self.speed, self.turn, self.phase, self.duty),
            *(rhythm, smoothstep(inside / RAMP_S), self.behavior, self.side),
        )

    def walk(self, envelope: float, others: list[_Walker]) -> None:
        """Steer towards the goal; `envelope` brings the bout's ends to a halt."""
        length, dt = self.arena.length, 1 / self.arena.fps
        if self.goal == "follow" and self.target is not None:
            other = self.target
            behind = 0.8 * length
            self.goal_xy = self.arena.clamp(
                other.x - behind * math.cos(other.heading),
                other.y - behind * math.sin(other.heading),
                WALL_BL,
            )
        dx, dy = self.goal_xy[0] - self.x, self.goal_xy[1] - self.y
        away = math.hypot(dx, dy) / length
        if away < 0.25 and self.goal != "follow":
            self.choose_goal(others)
        error = math.remainder(math.atan2(dy, dx) - self.heading, 2 * math.pi)
        limit = self.species.locomotion.turn_max
        near = smoothstep(away / 0.35) if self.goal == "follow" else 1.0
        decay = dt / WANDER_LAG_S
        self.wander += -self.wander * decay + WANDER_TURN * math.sqrt(
            2 * decay
        ) * self.random.gauss(0, 1)
        turn = min(max(STEER_GAIN * error, -limit), limit) * near + self.wander
        speed = self.bout_speed * near * max(math.cos(error), 0.12)
        lag = 1 - math.exp(-dt / SPEED_LAG_S)
        self.v += lag * (speed - self.v)
        self.w += lag * (turn - self.w)
        self.speed, self.turn = envelope * self.v, envelope * self.w
        self.heading += self.turn * dt
        self.x, self.y = self.arena.clamp(
            self.x + self.speed * length * dt * math.cos(self.heading),
            self.y + self.speed * length * dt * math.sin(self.heading),
            HARD_WALL_BL,
        )

    def stride(self) -> None:
        """Advance the gait; a standing animal only finishes the steps it began."""
        loco = self.species.locomotion
        pace = self.speed + loco.turn_arm * abs(self.turn)
        low, high = loco.stride_hz
        hz = min(low + loco.stride_per_speed * pace, high, self.arena.fps / 4)
        phase = self.phase % 1.0
        in_swing = phase >= self.duty or (phase + 0.5) % 1.0 >= self.duty
        if pace < 0.06 and not in_swing:
            return
        before, self.phase = self.phase, self.phase + hz / self.arena.fps
        if int(2 * before) != int(2 * self.phase):
            # all feet are down here: the only moment when the stance share may change
            self.duty = max(0.5, 1 - hz * loco.swing_s)


def _scatter(arena: _Arena, n_animals: int, seed: int) -> list[tuple[float, float, float]]:
    """Spread starting places by best-candidate sampling: (x, y, heading) each."""
    rand = random.Random(f"start {seed}")
    placed: list[tuple[float, float, float]] = []
    for _ in range(n_animals):
        candidates = [
            arena.clamp(rand.random() * arena.width, rand.random() * arena.height, WALL_BL)
            for _ in range(30)
        ]
        best = max(
            candidates,
            key=lambda c: min((math.hypot(c[0] - p[0], c[1] - p[1]) for p in placed), default=0),
        )
        placed.append((*best, rand.uniform(-math.pi, math.pi)))
    return placed


def simulate(
    species: Species,
    n_frames: int,
    n_animals: int,
    size: tuple[int, int],
    fps: float,
    body_length_px: float,
    seed: int,
) -> Trajectory:
    """Simulate all animals, frame by frame.

    Parameters
    ----------
    species : Species
    n_frames, n_animals : int
    size : (int, int)
        Height and width of the arena, px.
    fps : float
    body_length_px : float
        px per body length.
    seed : int

    Returns
    -------
    Trajectory
        A longer simulation begins with the shorter one.
    """
    arena = _Arena(size[1], size[0], body_length_px, fps)
    starts = _scatter(arena, n_animals, seed)
    walkers = [
        _Walker(species, arena, f"animal {seed} {number}", start)
        for number, start in enumerate(starts)
    ]
    circles = [[w for w in walkers if w is not me] for me in walkers]
    rows = np.empty((n_frames, n_animals, 11))
    for frame in range(n_frames):
        rows[frame] = [
            walker.step(frame, others) for walker, others in zip(walkers, circles, strict=True)
        ]
    columns = np.moveaxis(rows, -1, 0)
    heading, speed, turn, gait_phase, duty, rhythm, weight = columns[2:9]
    behavior, side = columns[9:].astype(np.int8)
    return Trajectory(
        xy=rows[..., :2],
        heading=heading,
        speed=speed,
        turn=turn,
        gait_phase=gait_phase,
        duty=duty,
        rhythm=rhythm,
        weight=weight,
        behavior=behavior,
        side=side,
        fps=fps,
    )
