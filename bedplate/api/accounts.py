"""Accounts of consumers in Valkey, which all replicas share: what a request may take at most is taken before
it begins, and put right when it has ended.

Each step is one script, so that no two replicas can both take the last token; time is Valkey's, so that their
clocks do not matter. Windows are whole minutes and whole days of UTC. What is never put right (a replica died
with its record) stays taken until its window ends: a limit is never exceeded by a fault.
"""

from dataclasses import dataclass
from itertools import pairwise

from bedplate.api.policy import Limits
from bedplate.api.refused import Refused
from bedplate.api.routing import Outcome, bin_of
from bedplate.api.valkey import Script, Valkey, Value

PREFIX = "gateway:"
LONGEST = 7200  # seconds; a request that takes longer no longer counts as one of those in parallel
SLICE = 10  # seconds of outcomes that are counted together
REVOKED = f"{PREFIX}revoked"
WITHDRAWN = f"{PREFIX}withdrawn"

# KEYS: account, revoked keys. ARGV: request, key, tokens, then the limits in the order of `Limits`, LONGEST.
RESERVE = Script("""
local now = tonumber(redis.call('TIME')[1])
local minute, day = now - now % 60, now - now % 86400
local requests, tokens = KEYS[1] .. ':r:' .. minute, KEYS[1] .. ':t:' .. minute
local daily, open = KEYS[1] .. ':d:' .. day, KEYS[1] .. ':open'
local take = tonumber(ARGV[3])
if ARGV[2] ~= '' and redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 1 then return {'revoked', 0, 0, 0} end
local asked = tonumber(redis.call('GET', requests) or 0)
local used = tonumber(redis.call('GET', tokens) or 0)
local left = {tonumber(ARGV[4]) - asked, tonumber(ARGV[5]) - used}
if left[1] < 1 then return {'requests', minute + 60 - now, 0, math.max(left[2], 0)} end
if take > left[2] then return {'tokens', minute + 60 - now, left[1], math.max(left[2], 0)} end
if tonumber(ARGV[6]) > 0 and tonumber(redis.call('GET', daily) or 0) + take > tonumber(ARGV[6]) then
  return {'daily_tokens', day + 86400 - now, left[1], math.max(left[2], 0)}
end
redis.call('ZREMRANGEBYSCORE', open, '-inf', now)
if redis.call('ZCARD', open) >= tonumber(ARGV[7]) then return {'parallel', 1, left[1], left[2]} end
local entry = KEYS[1] .. ':q:' .. ARGV[1]
if redis.call('EXISTS', entry) == 1 then return {'repeated', 0, left[1], left[2]} end
redis.call('ZADD', open, now + tonumber(ARGV[8]), ARGV[1])
redis.call('EXPIRE', open, ARGV[8])
redis.call('INCR', requests)
redis.call('EXPIRE', requests, 120)
redis.call('INCRBY', tokens, take)
redis.call('EXPIRE', tokens, 120)
redis.call('INCRBY', daily, take)
redis.call('EXPIRE', daily, 90000)
redis.call('SET', entry, minute .. ' ' .. day .. ' ' .. take, 'EX', ARGV[8])
return {'ok', 0, left[1] - 1, left[2] - take}
""")

# KEYS: account. ARGV: request, tokens that it used (-1: not known, so all that was taken stays taken).
SETTLE = Script("""
local entry = KEYS[1] .. ':q:' .. ARGV[1]
local found = redis.call('GET', entry)
if not found then return 0 end
redis.call('DEL', entry)
redis.call('ZREM', KEYS[1] .. ':open', ARGV[1])
if tonumber(ARGV[2]) < 0 then return 1 end
local minute, day, took = found:match('(%d+) (%d+) (%d+)')
local more = tonumber(ARGV[2]) - tonumber(took)
for _, key in ipairs({KEYS[1] .. ':t:' .. minute, KEYS[1] .. ':d:' .. day}) do
  if redis.call('EXISTS', key) == 1 then redis.call('INCRBY', key, more) end
end
return 1
""")

# KEYS: back end. ARGV: failed (0 or 1), bin, SLICE, seconds that are kept.
OUTCOME = Script("""
local now = tonumber(redis.call('TIME')[1])
local key = KEYS[1] .. ':' .. (now - now % tonumber(ARGV[3]))
redis.call('HINCRBY', key, 'total', 1)
if ARGV[1] == '1' then redis.call('HINCRBY', key, 'failed', 1) else redis.call('HINCRBY', key, ARGV[2], 1) end
redis.call('EXPIRE', key, ARGV[4])
""")

# KEYS: back end. ARGV: SLICE, seconds that are judged. Returns names and counts.
OUTCOMES = Script("""
local now, sum, flat = tonumber(redis.call('TIME')[1]), {}, {}
local last = now - now % tonumber(ARGV[1])
for slice = last - tonumber(ARGV[2]), last, tonumber(ARGV[1]) do
  local found = redis.call('HGETALL', KEYS[1] .. ':' .. slice)
  for i = 1, #found, 2 do sum[found[i]] = (sum[found[i]] or 0) + tonumber(found[i + 1]) end
end
for name, count in pairs(sum) do flat[#flat + 1] = name; flat[#flat + 1] = tostring(count) end
return flat
""")

WHY = {
    "requests": "the requests of this minute are used up",
    "tokens": "the tokens of this minute do not suffice",
    "daily_tokens": "the tokens of this day do not suffice",
    "parallel": "too many requests at a time",
}


@dataclass(frozen=True)
class Left:
    """What is left of a minute."""

    requests: int
    tokens: int

    @property
    def headers(self) -> dict[str, str]:
        """As OpenAI's API says it."""
        return {
            "x-ratelimit-remaining-requests": str(self.requests),
            "x-ratelimit-remaining-tokens": str(self.tokens),
        }


class Accounts:
    """The accounts, and what all replicas know of back ends."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def reserve(self, account: str, key: str, request: str, tokens: int, limits: Limits) -> Left:
        """Take a request and its tokens. Raises Refused when that is more than there is, Away or Failed of
        `valkey` when nobody can tell."""
        most = [limits.requests, limits.tokens, limits.daily_tokens, limits.parallel]
        found = await self._valkey.script(
            RESERVE, [_account(account), REVOKED], [request, key, tokens, *most, LONGEST]
        )
        assert isinstance(found, list)
        reason, after, *left = (_text(item) for item in found)
        rest = Left(*map(int, left))
        if reason == "ok":
            return rest
        if reason == "revoked":
            headers = {"www-authenticate": "Bearer"}
            raise Refused(401, "not_authenticated", "the key has been revoked", headers)
        if reason == "repeated":
            raise Refused(400, "repeated", "this request was sent before")
        raise Refused(
            429, "rate_limit_exceeded", WHY[reason], rest.headers | {"retry-after": str(max(int(after), 1))}
        )

    async def settle(self, account: str, request: str, used: int) -> bool:
        """Put right what a request took. Settling twice changes nothing."""
        return await self._valkey.script(SETTLE, [_account(account)], [request, used]) == 1

    async def outcome(self, backend: str, *, failed: bool, first_byte: float, keep: int) -> None:
        """Count how a request ended at a back end; milliseconds, seconds."""
        await self._valkey.script(
            OUTCOME, [_backend(backend)], [int(failed), bin_of(first_byte), SLICE, keep + 2 * SLICE]
        )

    async def outcomes(self, backend: str, seconds: int) -> Outcome:
        """How requests of the last seconds ended there."""
        flat = await self._valkey.script(OUTCOMES, [_backend(backend)], [SLICE, seconds])
        assert isinstance(flat, list)
        counts = {_text(name): int(_text(count)) for name, count in list(pairwise(flat))[::2]}
        bins = tuple((int(name), count) for name, count in counts.items() if name.isdigit())
        return Outcome(counts.get("total", 0), counts.get("failed", 0), bins)

    async def withdraw(self, backend: str, why: str) -> bool:
        """Take a back end out of every replica; True for whoever was first."""
        return await self._valkey.command("HSETNX", WITHDRAWN, backend, why) == 1

    async def withdrawn(self) -> dict[str, str]:
        """Back ends that were taken back, with the reasons."""
        flat = await self._valkey.command("HGETALL", WITHDRAWN)
        assert isinstance(flat, list)
        return {_text(name): _text(why) for name, why in list(pairwise(flat))[::2]}

    async def readmit(self, backend: str) -> bool:
        """A person's decision: the back end gets its share again."""
        return await self._valkey.command("HDEL", WITHDRAWN, backend) == 1

    async def revoke(self, key: str) -> bool:
        """Refuse a key from the next request on, everywhere; it stays so until it is readmitted by name."""
        return await self._valkey.command("SADD", REVOKED, key) == 1


def _account(name: str) -> str:
    return f"{PREFIX}a:{name}"


def _backend(name: str) -> str:
    return f"{PREFIX}b:{name}"


def _text(value: Value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
