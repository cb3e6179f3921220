-- What wrk sends, and what it tells at the end, as one line of JSON. Arguments after `--`: the method; then `name: value`
-- for each header; then, for ranges instead of the whole, `range FIRST-LAST` for each, which are asked for all over the place.

-- No step of this size is a multiple of the usual numbers of ranges, so that all of them have their turn.
local step = 97

function init(args)
  local ranges = {}
  wrk.method = args[1]
  for n = 2, #args do
    local range = string.match(args[n], '^range (%d+-%d+)$')
    local name, value = string.match(args[n], '^([^:]+): (.*)$')
    if range then
      wrk.headers['Range'] = 'bytes=' .. range
      table.insert(ranges, wrk.format())
    elseif name then
      wrk.headers[name] = value
    end
  end
  if #ranges == 0 then return end
  -- Only then: where `request` is not defined, wrk runs no Lua for a request.
  local at = 0
  function request()
    at = (at + step) % #ranges
    return ranges[at + 1]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"bytes":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"maxUs":%d,' ..
      '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.bytes, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status
  ))
end
