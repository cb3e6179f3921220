/** A script that runs in the engine, at once and alone. */
export interface Script {
  readonly name: string;
  readonly lua: string;
}

const time = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`;

const words = `
local function set(text)
  local found = {}
  for word in string.gmatch(text, '%S+') do found[word] = true end
  return found
end
`;

/** What was written, if it has these fields: a node of another release, or somebody by hand, may have written something else. */
const record = `
local function record(text, fields)
  local ok, found = pcall(cjson.decode, text or '')
  if not ok or type(found) ~= 'table' then return nil end
  for field, kind in pairs(fields) do
    if type(found[field]) ~= kind then return nil end
  end
  return found
end
local as_holder = {
  z = 'string', a = 'string', v = 'string', p = 'number', s = 'string', c = 'number', f = 'string', u = 'number',
}
`;

/** Lets a key live as long as any of what is in it counts. */
const outlive = `
local function outlive(key, ms)
  if redis.call('PTTL', key) < tonumber(ms) then redis.call('PEXPIRE', key, ms) end
end
`;

/** KEYS members, pauses. ARGV id, its facts and load as JSON, staleMs. Replies with members as JSON and silence in turns, then pauses. */
export const beatScript: Script = {
  name: 'beat',
  lua: `${time}${record}
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({ n = ARGV[2], t = now }))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local members, pauses = {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local member = record(all[i + 1], { n = 'string', t = 'number' })
  if not member or now - member.t > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    members[#members + 1] = member.n
    members[#members + 1] = tostring(now - member.t)
  end
end
all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local pause = record(all[i + 1], { n = 'string', u = 'number' })
  if pause and pause.u > now then
    pauses[#pauses + 1] = pause.n
    pauses[#pauses + 1] = tostring(pause.u - now)
  else
    redis.call('HDEL', KEYS[2], all[i])
  end
end
return { members, pauses }
`,
};

/** KEYS pauses. ARGV field, the pause as JSON, leftMs. */
export const pauseScript: Script = {
  name: 'pause',
  lua: `${time}${record}${outlive}
local known = record(redis.call('HGET', KEYS[1], ARGV[1]), { u = 'number' })
local untilMs = now + tonumber(ARGV[3])
if known and known.u >= untilMs then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({ n = ARGV[2], u = untilMs }))
outlive(KEYS[1], ARGV[3])
return 1
`,
};

/**
 * KEYS lease, holders. ARGV id, zone, address, protocol, prefixBytes, sizeBytes, parents, token, seeks, avoid, gone, a fresh
 * token, leaseMs, staleMs, maxChildren, among (with a space before each; empty: all), how it seeks ('ahead', 'yields' or nothing). What chooses the holder says the same as
 * `chooseHolder` (routing/holder-choice.ts), of which the reasons stand there. Only who seeks has all holders looked at: that a
 * node says how far it is costs the same however many nodes there are.
 */
export const visitScript: Script = {
  name: 'visit',
  lua: `${time}${words}${record}${outlive}
local id, zone, prefix, parents, token = ARGV[1], ARGV[2], tonumber(ARGV[5]), ARGV[7], ARGV[8]
local seeks, avoid, gone, most = ARGV[9] == '1', set(ARGV[10]), set(ARGV[11]), tonumber(ARGV[15])
local among = ARGV[16] ~= '' and set(ARGV[16])
local ahead, yields = ARGV[17] ~= '', ARGV[17] == 'yields'

local lease = redis.call('GET', KEYS[1])
local leader = lease and string.match(lease, '%S+')
if yields and leader == id then
  redis.call('DEL', KEYS[1])
  lease, leader = false, false
end
if leader and gone[leader] then lease, leader = false, false end

local function note()
  local entry = { z = zone, a = ARGV[3], v = ARGV[4], p = prefix, s = ARGV[6], c = 0, f = parents, u = now + tonumber(ARGV[14]) }
  redis.call('HSET', KEYS[2], id, cjson.encode(entry))
  outlive(KEYS[2], ARGV[14])
end
local function lead(with)
  redis.call('SET', KEYS[1], with, 'PX', ARGV[13])
  return { 'leads', with }
end

local own = ''
if yields then own = '' elseif leader == id then own = lease elseif not lease then own = token end
if own ~= '' and (seeks or token == own) then
  note()
  return lead(own)
end
if not seeks then
  note()
  return { 'noted' }
end

local holders, readers, beginnings = {}, {}, {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local node, holder = all[i], record(all[i + 1], as_holder)
  if not holder or holder.u <= now then
    redis.call('HDEL', KEYS[2], node)
  else
    holders[node] = holder
    if holder.c == 1 or holder.f == '' then beginnings[#beginnings + 1] = node end
    if node ~= id then
      for parent in string.gmatch(holder.f, '%S+') do
        readers[parent] = readers[parent] or {}
        readers[parent][#readers[parent] + 1] = node
      end
    end
  end
end
local function steps_from(level)
  local steps, depth = {}, 0
  for _, node in ipairs(level) do steps[node] = 0 end
  while #level > 0 do
    local below = {}
    depth = depth + 1
    for _, node in ipairs(level) do
      for _, reader in ipairs(readers[node] or {}) do
        if not steps[reader] then
          steps[reader] = depth
          below[#below + 1] = reader
        end
      end
    end
    level = below
  end
  return steps
end
local depths, below = steps_from(beginnings), steps_from({ id })
local best, cost, behind
for node, holder in pairs(holders) do
  local has, depth = readers[node] and #readers[node] or 0, depths[node]
  local is_out = below[node] or avoid[node] or has >= most or (holder.c == 1 and among and not among[node])
  if ahead and holder.c == 0 and holder.p <= prefix then is_out = true end
  if not is_out and (depth or holder.p > prefix) then
    local is_behind = holder.c == 0 and holder.p < prefix
    local costs = (holder.z == zone and 0 or 1000000) + (is_behind and 100000 or 0) + has * 32 + (depth or 1000)
    if not best or costs < cost or (costs == cost and node < best) then best, cost, behind = node, costs, is_behind end
  end
end
if best and (lease or not behind) then
  if not set(parents)[best] then parents = parents == '' and best or parents .. ' ' .. best end
  note()
  local holder = holders[best]
  return { 'follows', best, holder.z, holder.a, holder.v, tostring(holder.p), holder.s, tostring(holder.c) }
end
if yields then redis.call('HDEL', KEYS[2], id) else note() end
if lease then
  local it = holders[leader]
  return { 'waits', leader, (not it or it.c == 1 or it.p > prefix) and '1' or '0' }
end
if yields then return { 'noted' } end
return lead(ARGV[12])
`,
};

/** KEYS lease, holders. ARGV id, token, isComplete, zone, address, protocol, holderMs. */
export const leaveScript: Script = {
  name: 'leave',
  lua: `${time}${record}${outlive}
if ARGV[2] ~= '' and redis.call('GET', KEYS[1]) == ARGV[2] then redis.call('DEL', KEYS[1]) end
local entry = record(redis.call('HGET', KEYS[2], ARGV[1]), as_holder)
if ARGV[3] == '1' then
  local size = entry and entry.s or ''
  local full = { z = ARGV[4], a = ARGV[5], v = ARGV[6], p = tonumber(size) or 0, s = size, c = 1, f = '', u = now + tonumber(ARGV[7]) }
  redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(full))
  outlive(KEYS[2], ARGV[7])
elseif entry and entry.c == 0 then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return 0
`,
};

/** KEYS holders. ARGV id, sizeBytes, zone, address, protocol, holderMs. */
export const announceScript: Script = {
  name: 'announce',
  lua: `${time}${outlive}
local full = { z = ARGV[3], a = ARGV[4], v = ARGV[5], p = tonumber(ARGV[2]), s = ARGV[2], c = 1, f = '', u = now + tonumber(ARGV[6]) }
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(full))
outlive(KEYS[1], ARGV[6])
return 0
`,
};

/** KEYS told, lock. ARGV maxAgeMs, a fresh token, leaseMs. */
export const claimScript: Script = {
  name: 'claim',
  lua: `${time}${record}
local told = record(redis.call('GET', KEYS[1]), { v = 'string', t = 'number' })
if told and now - told.t <= tonumber(ARGV[1]) then return { 'known', told.v, tostring(now - told.t) } end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return { 'mine', ARGV[2] } end
return { 'theirs', tostring(redis.call('PTTL', KEYS[2])) }
`,
};

/** KEYS told, lock. ARGV token, value, keepMs; without a value: the lock alone is given up. Of nobody but whose claim it is. */
export const settleScript: Script = {
  name: 'settle',
  lua: `${time}
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if ARGV[2] then redis.call('SET', KEYS[1], cjson.encode({ v = ARGV[2], t = now }), 'PX', ARGV[3]) end
return 1
`,
};

/** KEYS lock. ARGV token, leaseMs. */
export const keepScript: Script = {
  name: 'keep',
  lua: "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0",
};
