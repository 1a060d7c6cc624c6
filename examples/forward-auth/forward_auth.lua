-- http-request lua.forward_auth URL: asks URL about the request. On 200 it sets the identity headers of the answer.
-- Any other answer goes to the client as it is. Without an answer the client gets 503. Needs HAProxy 2.6 for its HTTP
-- client.

local identity = { "x-auth-subject", "x-auth-email", "x-auth-roles", "x-auth-scope", "x-auth-client" }
-- Headers that are not forwarded: those of the connection and of the body, and those that name the original request,
-- which only this script sets.
local left_out = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true, ["te"] = true,
    ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["proxy-connection"] = true,
    ["x-original-method"] = true, ["x-original-uri"] = true,
    ["x-forwarded-method"] = true, ["x-forwarded-uri"] = true, ["x-forwarded-for"] = true,
}

local function first(values)
    return values and (values[0] or values[1])
end

local function refuse(txn, answer)
    local reply = txn:reply()
    local status = answer and answer.status
    if status and status >= 400 and status <= 599 then
        reply:set_status(status)
        for _, name in ipairs({ "content-type", "www-authenticate", "retry-after", "cache-control" }) do
            local value = first(answer.headers and answer.headers[name])
            if value then reply:add_header(name, value) end
        end
        reply:set_body(answer.body or "")
    else
        reply:set_status(503)
        reply:add_header("retry-after", "1")
    end
    txn:done(reply)
end

core.register_action("forward_auth", { "http-req" }, function(txn, url)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not left_out[name] then
            headers[name] = {}
            for _, value in pairs(values) do table.insert(headers[name], value) end
        end
    end
    headers["x-original-method"] = { txn.f:method() }
    -- The path as the client sent it.
    headers["x-original-uri"] = { txn.f:pathq() }
    headers["x-forwarded-for"] = { txn.f:src() }

    local answer = core.httpclient():get({ url = url, headers = headers, timeout = 3000 })
    if not answer or answer.status ~= 200 then
        return refuse(txn, answer)
    end
    for _, name in ipairs(identity) do
        local value = first(answer.headers and answer.headers[name])
        if value and value ~= "" then txn.http:req_set_header(name, value) end
    end
end, 1)
