"""What a Redis or Valkey server does in one step: Lua, each over keys of one slot.

A row is stored as 8 bytes of event time (big-endian, offset so that bytes compare as numbers do), 8 bytes of version
(4 of the writer, 4 of its transaction) and the state.
"""

from typing import Final

__all__ = ["ADD_SEEN", "ADVANCE", "CLAIM", "LOG", "PUT_FIELDS", "PUT_ITEMS", "PUT_ROWS"]

_OLDER: Final = """
local function older(a, b)
  for i = 1, 8 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return false
end
"""

# Whether a row may be written over the current one, by what the writer expects there:
# "*" anything, "n" nothing newer, "k" a row that the same writer wrote last, "x" and a version (none: no row).
# What this very transaction wrote may always be replaced: a command may be sent twice when a connection breaks.
_ALLOWED: Final = (
    _OLDER
    + """
local function allowed(current, expected, value)
  if expected == '*' then return true end
  local mode = string.sub(expected, 1, 1)
  if mode == 'n' then return current == '' or not older(value, current) end
  local version = string.sub(current, 9, 16)
  if current ~= '' and version == string.sub(value, 9, 16) then return true end
  if mode == 'k' then return string.sub(version, 1, 4) == string.sub(value, 9, 12) end
  return version == string.sub(expected, 2)
end
"""
)

# KEYS: rows. ARGV: expectation and value of each. Gives the numbers of those that are not as expected.
PUT_ROWS: Final = (
    _ALLOWED
    + """
local refused = {}
for i = 1, #KEYS do
  local expected, value = ARGV[2 * i - 1], ARGV[2 * i]
  if expected == '*' or allowed(redis.call('GETRANGE', KEYS[i], 0, 15), expected, value) then
    redis.call('SET', KEYS[i], value)
  elseif expected ~= 'n' then
    refused[#refused + 1] = i - 1
  end
end
return refused
"""
)

# KEYS: a hash of rows. ARGV: field, expectation and value of each. Gives the numbers of those not as expected.
PUT_FIELDS: Final = (
    _ALLOWED
    + """
local refused = {}
for i = 1, #ARGV / 3 do
  local field, expected, value = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  if expected == '*' or allowed(redis.call('HGET', KEYS[1], field) or '', expected, value) then
    redis.call('HSET', KEYS[1], field, value)
  elseif expected ~= 'n' then
    refused[#refused + 1] = i - 1
  end
end
return refused
"""
)

# KEYS: the items. ARGV: id and value of each, a value being 8 bytes of time and the rest.
PUT_ITEMS: Final = (
    _OLDER
    + """
for i = 1, #ARGV / 2 do
  local current = redis.call('HGET', KEYS[1], ARGV[2 * i - 1])
  if not current or not older(ARGV[2 * i], current) then
    redis.call('HSET', KEYS[1], ARGV[2 * i - 1], ARGV[2 * i])
  end
end
return 0
"""
)

# KEYS: for each event id the hash of this period and that of the last. ARGV: milliseconds that a hash lives, then
# digest and place of each. Gives the places at which they were seen first.
ADD_SEEN: Final = """
local first = {}
for i = 1, #KEYS / 2 do
  local current, digest, place = KEYS[2 * i - 1], ARGV[2 * i], ARGV[2 * i + 1]
  first[i] = redis.call('HGET', KEYS[2 * i], digest)
  if not first[i] then
    if redis.call('HSETNX', current, digest, place) == 1 then
      first[i] = place
      if redis.call('HLEN', current) == 1 then redis.call('PEXPIRE', current, ARGV[1]) end
    else
      first[i] = redis.call('HGET', current, digest)
    end
  end
end
return first
"""

# KEYS: a topic: fields "<partition>" with positions and "e<partition>" with epochs. ARGV: check, advance or rewind,
# then partition, the writer's epoch and the next offset of each. Gives a partition that is another's, or -1.
ADVANCE: Final = """
local given = {}
for i = 2, #ARGV, 3 do
  given[ARGV[i]] = true
  local epoch = redis.call('HGET', KEYS[1], 'e' .. ARGV[i])
  if epoch and epoch ~= ARGV[i + 1] then return tonumber(ARGV[i]) end
end
if ARGV[1] == 'check' then return -1 end
if ARGV[1] == 'rewind' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 1) ~= 'e' then redis.call('HDEL', KEYS[1], field) end
  end
end
for i = 2, #ARGV, 3 do
  local offset = redis.call('HGET', KEYS[1], ARGV[i])
  if ARGV[i + 2] ~= '' and (not offset or tonumber(offset) < tonumber(ARGV[i + 2])) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  end
end
return -1
"""

# KEYS: a topic. ARGV: partitions. Gives their new epochs.
CLAIM: Final = """
local epochs = {}
for i = 1, #ARGV do epochs[i] = redis.call('HINCRBY', KEYS[1], 'e' .. ARGV[i], 1) end
return epochs
"""

# KEYS: a log of changes. ARGV: how many entries it keeps, the writer, then packed keys per entry ("" for more than can
# be listed). An entry's id is the time in microseconds, and it names the entry before it: a reader that does not find
# the one that it has read last knows that something is missing. Gives the last id before, and the last id after.
LOG: Final = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local before = last[1] and tonumber(string.match(last[1][1], '^%d+')) or 0
local previous = before
local now = redis.call('TIME')
for i = 3, #ARGV do
  local id = math.max(tonumber(now[1]) * 1000000 + tonumber(now[2]), previous + 1)
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], string.format('%.0f-0', id),
    'after', string.format('%.0f', previous), 'writer', ARGV[2], 'keys', ARGV[i])
  previous = id
end
return {string.format('%.0f', before), string.format('%.0f', previous)}
"""
