"""What remains to be priced of the sessions: complete, ours, outgoing and not empty."""

from collections.abc import Iterator

import numpy as np

from mediation.demo.ber import Int64
from mediation.demo.destinations import Pool
from mediation.demo.pgw import CHARGED, ZERO_RATED
from mediation.demo.pricing import Event, in_order
from mediation.demo.tariff import Tariff
from mediation.demo.traffic import Traffic


def billable_events(tariff: Tariff, traffic: Traffic) -> Iterator[Event]:
    """List the month's events by subscription and start; partial records are whole again here."""
    known = traffic.identities.known
    voice, messages, packets = traffic.voice, traffic.messages, traffic.packets
    calls = np.flatnonzero(
        (voice.identity < known) & ~voice.incoming & (voice.duration > 0) & (voice.missing == 0)
    )
    sessions = (packets.identity < known) & (packets.missing == 0)
    charged = np.flatnonzero(sessions & (packets.up + packets.down > 0))
    free = np.flatnonzero(sessions & (packets.free_up + packets.free_down > 0))
    return in_order(
        [
            (
                voice.identity[calls],
                voice.start[calls],
                _same("voice", calls),
                _zones(tariff, traffic.voice_pool)[voice.other[calls]],
                voice.duration[calls],
            ),
            (
                messages.identity,
                messages.start,
                _same("sms", messages.start),
                _zones(tariff, traffic.message_pool)[messages.other],
                np.ones(len(messages.start), np.int64),
            ),
            (
                packets.identity[charged],
                packets.start[charged],
                _same("data", charged),
                _same(tariff.rating_groups[CHARGED], charged),
                (packets.up + packets.down)[charged],
            ),
            (
                packets.identity[free],
                packets.start[free],
                _same("data", free),
                _same(tariff.rating_groups[ZERO_RATED], free),
                (packets.free_up + packets.free_down)[free],
            ),
        ]
    )


def _same(text: str, rows: Int64) -> np.ndarray:
    return np.full(len(rows), text, object)


def _zones(tariff: Tariff, pool: Pool) -> np.ndarray:
    return np.array([tariff.zone_of(member.number) for member in pool.members], object)
