-- What wrk sends to a server, and what it holds every answer against.
--
-- Arguments: a file with a line a request (path, body and the right answer, between tabs); the mean of
-- the pauses that a connection makes, in milliseconds; and whether they are "regular" or "random".
-- Bodies carry an id that comes back, so that an answer that belongs to another request is found.

local threads = {}

function setup(thread)
  thread:set("id", #threads)
  table.insert(threads, thread)
end

function init(arguments)
  wanted, requests = {}, {}
  right, wrong, refused, broken = 0, 0, 0, 0
  first_wrong = ""
  pause, random = tonumber(arguments[2]), arguments[3] == "random"
  math.randomseed(os.time() + id)
  for line in io.lines(arguments[1]) do
    local path, body, answer = line:match("^([^\t]*)\t([^\t]*)\t(.*)$")
    table.insert(requests, wrk.format("POST", path, {["Content-Type"] = "application/json"}, body))
    wanted[answer:match('"id":"(%d+)"')] = answer
  end
  place = math.random(#requests)
end

function delay()
  if pause == 0 then return 0 end
  -- Random ones are as from people who know nothing of each other.
  if random then return -pause * math.log(1 - math.random()) end
  return pause * (0.9 + 0.2 * math.random())
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function response(status, headers, body)
  if status == 200 then
    local name = body:match('"id":"(%d+)"')
    if name and wanted[name] == body then
      right = right + 1
    else
      wrong = wrong + 1
      if first_wrong == "" then first_wrong = body:gsub("%s", " "):sub(1, 200) end
    end
  elseif status == 429 and headers["retry-after"] then
    refused = refused + 1
  else
    broken = broken + 1
    if first_wrong == "" then first_wrong = status .. " " .. body:gsub("%s", " "):sub(1, 200) end
  end
end

function done(summary, latency)
  local sums = {right = 0, wrong = 0, refused = 0, broken = 0}
  local told = ""
  for _, thread in ipairs(threads) do
    for name, value in pairs(sums) do sums[name] = value + thread:get(name) end
    if told == "" then told = thread:get("first_wrong") end
  end
  local errors = summary.errors
  io.write(string.format(
    'FOUND {"right": %d, "wrong": %d, "refused": %d, "broken": %d, "seconds": %.3f, '
      .. '"socket_errors": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    sums.right, sums.wrong, sums.refused, sums.broken, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
  if told ~= "" then io.write("FIRST ", told, "\n") end
end
