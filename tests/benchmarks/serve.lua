-- Posts the pictures of a folder to a service, one after the other; prints what came as JSON.
local requests, place = {}, 0
n200, n503, nother = 0, 0, 0
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    local names = io.popen('ls "' .. os.getenv("FEATX_PICTURES") .. '"/*.jpg')
    for name in names:lines() do
        local file = io.open(name, "rb")
        wrk.headers["Content-Type"] = "image/jpeg"
        table.insert(requests, wrk.format("POST", "/predict", nil, file:read("*a")))
        file:close()
    end
    names:close()
end

function request()
    place = place % #requests + 1
    return requests[place]
end

function response(status)
    if status == 200 then
        n200 = n200 + 1
    elseif status == 503 then
        n503 = n503 + 1
    else
        nother = nother + 1
    end
end

function done(summary, latency)
    local ok, full, other = 0, 0, 0
    for _, thread in ipairs(threads) do
        ok = ok + thread:get("n200")
        full = full + thread:get("n503")
        other = other + thread:get("nother")
    end
    local errors = summary.errors.connect + summary.errors.read + summary.errors.write
    io.write(string.format(
        '{"seconds": %f, "ok": %d, "full": %d, "other": %d, "errors": %d, "timeouts": %d, ' ..
        '"p50": %f, "p99": %f, "most": %f}\n',
        summary.duration / 1e6, ok, full, other, errors, summary.errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
