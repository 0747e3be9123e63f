-- Single requests by REST for wrk, a client in C that takes little of the server's cores:
--
--   seq2seq serve --model output/g2p/serving/seq2seq
--   wrk -t1 -c128 -d4s --timeout 20s -s benchmarks/single_requests.lua \
--       http://127.0.0.1:8501 -- data/cmudict/pairs.tsv
--
-- Asks for every thirtieth line's source in turn.

local bodies, last = {}, 0

function init(arguments)
  local number = 0
  for line in io.lines(arguments[1]) do
    number = number + 1
    if number % 30 == 0 then
      local source = line:match("^[^\t]*"):gsub('[\\"]', "\\%0")
      bodies[#bodies + 1] = wrk.format(
        "POST",
        "/v1/models/seq2seq:predict",
        { ["Content-Type"] = "application/json", ["Host"] = wrk.headers["Host"] },
        '{"instances": ["' .. source .. '"]}'
      )
    end
  end
end

function request()
  last = last % #bodies + 1
  return bodies[last]
end
