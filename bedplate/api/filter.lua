-- Runs inside the proxy, between the gate's yes and the back end.
-- Requests: what the gate said becomes metadata of the log, members that the body lacks are put in, and of the
-- client's headers only those below go on. Answers: the counts of tokens are read as they pass; nothing is kept.
local PASS = {
  ["content-type"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["accept"] = true,
  ["x-request-id"] = true, ["x-bedplate-backend"] = true, ["x-bedplate-models"] = true,
  ["x-forwarded-proto"] = true, -- without it no route is found; the route removes it
}
local TOLD = {"who", "key", "group", "operation", "model", "backend"}
local ONCE = {"authorization", "content-type"} -- the gate has seen the first of several
local SPACE = "bedplate"

function envoy_on_request(handle)
  local headers, metadata = handle:headers(), handle:streamInfo():dynamicMetadata()
  for _, name in ipairs(ONCE) do
    if headers:getNumValues(name) > 1 then
      handle:respond({[":status"] = "400"}, name .. " stands there twice")
      return
    end
  end
  for _, name in ipairs(TOLD) do
    local value = headers:get("x-bedplate-" .. name)
    if value then metadata:set(SPACE, name, value) end
  end
  local insert = headers:get("x-bedplate-insert")
  local dropped = {}
  for name in pairs(headers) do
    if not PASS[name] and name:sub(1, 1) ~= ":" then dropped[#dropped + 1] = name end
  end
  for _, name in ipairs(dropped) do headers:remove(name) end
  if insert then
    local body = handle:body()
    local bytes = body:getBytes(0, body:length())
    local begin = bytes:find("{", 1, true)
    local length = body:setBytes("{" .. insert .. bytes:sub(begin + 1))
    handle:headers():replace("content-length", tostring(length)) -- what was had before body() is void
  end
end

-- Quotes inside the text of an answer are escaped there, so no answer can count for itself.
function envoy_on_response(handle)
  local rest = ""
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    if length > 0 then
      local text = rest .. chunk:getBytes(0, length)
      for _, name in ipairs({"prompt_tokens", "completion_tokens"}) do
        if text:find(name, 1, true) then
          for count in text:gmatch('"' .. name .. '":%s*(%d+)') do
            handle:streamInfo():dynamicMetadata():set(SPACE, name, count)
          end
        end
      end
      rest = text:sub(-48)
    end
  end
end
