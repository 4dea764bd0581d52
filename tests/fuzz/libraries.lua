local how, bytes = ARGV[1], ARGV[2]

local function same(a, b)
    if type(a) ~= 'table' or type(b) ~= 'table' then
        -- Not a number is not itself.
        return a == b or (a ~= a and b ~= b)
    end
    -- Keys that are tables are found by nobody but who made them.
    for key, value in pairs(a) do
        if type(key) ~= 'table' and not same(value, b[key]) then return false end
    end
    for key in pairs(b) do
        if type(key) ~= 'table' and a[key] == nil then return false end
    end
    return true
end

local function check(name, decode, encode)
    local first = { pcall(decode, bytes) }
    if not first[1] then return end
    local encoded = { pcall(encode, table.unpack(first, 2)) }
    if not encoded[1] then return end
    local second = { pcall(decode, encoded[2]) }
    -- What lies too deep is written as nil, and nil is no key.
    if not second[1] and tostring(second[2]):find('table index is nil', 1, true) then return end
    if not second[1] then error(name .. ' cannot read what it wrote: ' .. tostring(second[2])) end
    encoded = { pcall(encode, table.unpack(second, 2)) }
    if not encoded[1] then error(name .. ' cannot write what it read: ' .. tostring(encoded[2])) end
    local third = { pcall(decode, encoded[2]) }
    if not same(second, third) then error(name .. ' reads another value than it wrote') end
end

local kind, format = how:sub(1, 1), how:sub(2)
if kind == 'j' then
    check('cjson', cjson.decode, cjson.encode)
elseif kind == 'm' then
    check('cmsgpack', cmsgpack.unpack, cmsgpack.pack)
    pcall(cmsgpack.unpack_one, bytes, #format)
    pcall(cmsgpack.unpack_limit, bytes, 3, #format)
else
    pcall(struct.size, format)
    pcall(struct.unpack, format, bytes, #bytes // 2)
    check('struct',
        function(packed)
            local values = { struct.unpack(format, packed) }
            -- The last is where reading ended.
            values[#values] = nil
            return table.unpack(values)
        end,
        function(...) return struct.pack(format, ...) end)
end
return 'ok'
