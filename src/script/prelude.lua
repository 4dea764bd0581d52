-- Builds what scripts see, from what Lua has. Gets the Rust functions, answers three tables: the
-- globals themselves, the read-only environment in front of them, and that of libraries that are
-- loaded.
--
-- No function here may use a global: `_G` is Lua's own table here, and is dropped at the end.
local native = ...
local lua = _G
local setmetatable, next, type, error, select = setmetatable, next, type, error, select
local rawget, tostring, tonumber = rawget, tostring, tonumber
local load, pcall, collectgarbage = load, pcall, collectgarbage
local floor, tointeger = math.floor, math.tointeger

local function refuse_write()
  error("Attempt to modify a readonly table", 2)
end

-- What getmetatable answers for everything that scripts must not change: an empty frozen table.
local sealed = false

-- A table that reads as `contents` and cannot be written to. Scripts never get hold of
-- `contents`, so the iterator keeps it to itself.
local function freeze(contents)
  local function advance(_, key)
    return next(contents, key)
  end
  local frozen = {}
  return setmetatable(frozen, {
    __index = contents,
    __newindex = refuse_write,
    __len = function() return #contents end,
    __pairs = function() return advance, frozen, nil end,
    __metatable = sealed,
    [native.contents_key] = contents,
  })
end

sealed = freeze({})

local function pick(source, names)
  local picked = {}
  for name in names:gmatch("%S+") do
    picked[name] = source[name]
  end
  return picked
end

local globals = pick(lua, [[
  error getmetatable ipairs next pairs rawequal rawlen select tonumber tostring type xpcall
]])
globals._VERSION = "Lua 5.1"
globals.rawget = native.rawget
globals.rawset = native.rawset
globals.setmetatable = native.setmetatable

-- Errors of commands are tables; pcall gives their text alone.
local function after_call(succeeded, first, ...)
  if not succeeded and type(first) == "table" then
    local text = rawget(first, "err")
    if type(text) == "string" then
      return false, text
    end
  end
  return succeeded, first, ...
end

function globals.pcall(...)
  return after_call(pcall(...))
end

-- The message gets a position, as in Lua 5.1.
function globals.assert(...)
  local condition, message = ...
  if condition then
    return ...
  elseif select("#", ...) == 0 then
    error("bad argument #1 to 'assert' (value expected)", 2)
  end
  if type(message) == "number" then
    message = tostring(message)
  end
  error(message == nil and "assertion failed!" or message, 2)
end

-- Never bytecode, whatever the caller says.
function globals.load(chunk, name, _, ...)
  if select("#", ...) > 0 then
    return load(chunk, name, "t", (...))
  end
  return load(chunk, name, "t")
end

function globals.loadstring(text, name)
  return load(tostring(text), name, "t")
end

function globals.collectgarbage(option)
  if option == nil or option == "collect" then
    return collectgarbage("collect")
  elseif option == "count" then
    return collectgarbage("count")
  end
  return 0
end

function globals.gcinfo()
  return floor(collectgarbage("count"))
end

local table = pick(lua.table, "concat insert move pack remove sort unpack")
globals.unpack = table.unpack

-- Raised where the script calls the function of this name.
local function expect(kind, value, position, name)
  if type(value) ~= kind then
    local reason = kind .. " expected, got " .. type(value)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. reason .. ")", 3)
  end
end

function table.getn(list)
  expect("table", list, 1, "getn")
  return #list
end

function table.setn()
  error("'setn' is obsolete", 2)
end

function table.maxn(list)
  expect("table", list, 1, "maxn")
  local largest = 0
  for key in next, list do
    if type(key) == "number" and key > largest then
      largest = key
    end
  end
  return largest
end

function table.foreach(list, visit)
  expect("table", list, 1, "foreach")
  expect("function", visit, 2, "foreach")
  for key, value in next, list do
    local result = visit(key, value)
    if result ~= nil then
      return result
    end
  end
end

function table.foreachi(list, visit)
  expect("table", list, 1, "foreachi")
  expect("function", visit, 2, "foreachi")
  for position = 1, #list do
    local result = visit(position, list[position])
    if result ~= nil then
      return result
    end
  end
end

-- Lua's string metatable leads to `lua.string`: the methods of strings.
local string = lua.string
string.dump = nil
string.gfind = string.gmatch
lua.getmetatable("").__metatable = sealed

local math = pick(lua.math, [[
  abs acos asin atan ceil cos deg exp floor fmod huge log maxinteger mininteger modf pi rad sin sqrt
  tan type ult
]])
for name, operation in next, native.math do
  math[name] = operation
end
math.mod = math.fmod
math.atan2 = math.atan

-- Lua's own would cut fractions, as every integer argument does here.
function math.tointeger(value)
  local number = tonumber(value)
  if number == nil or number ~= floor(number) then
    return nil
  end
  return tointeger(number)
end

globals.string = freeze(string)
globals.table = freeze(table)
globals.math = freeze(math)
globals.coroutine = freeze(lua.coroutine)
globals.os = freeze(native.os)
globals.cjson = freeze(native.cjson)
globals.cmsgpack = freeze(native.cmsgpack)
globals.struct = freeze(native.struct)
globals.bit = freeze(native.bit)
globals.redis = freeze(native.redis)
globals.server = globals.redis

-- A number that stands for what a command replies: the same for the same reply, whatever ran
-- before; with `sorts` also for the same elements in another order.
local dragonfly, call, hash_text = native.dragonfly, native.redis.call, native.dragonfly.hash_text
local sort = table.sort
dragonfly.hash_text = nil

local function fold(hash, value)
  if type(value) ~= "table" then
    return hash_text(hash, type(value) .. tostring(value))
  end
  for position = 1, #value do
    hash = fold(hash, value[position])
  end
  return hash
end

local function by_text(one, other)
  return tostring(one) < tostring(other)
end

function dragonfly.ihash(hash, sorts, ...)
  if select("#", ...) == 0 then
    error("dragonfly.ihash requires at least 3 arguments", 2)
  end
  local reply = call(...)
  if sorts and type(reply) == "table" then
    sort(reply, by_text)
  end
  return fold(hash, reply)
end

globals.dragonfly = freeze(dragonfly)

local missing = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
}

-- What a library sees while it is loaded: it can register functions, and nothing that it does may
-- depend on anything but its text.
local loading = pick(native.redis, [[
  log LOG_DEBUG LOG_VERBOSE LOG_NOTICE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM
]])
loading.register_function = native.loading.register_function
local load_globals = { redis = freeze(setmetatable(loading, missing)) }
load_globals.server = load_globals.redis

local environment = freeze(globals)
globals._G = environment
setmetatable(globals, missing)
return globals, environment, freeze(setmetatable(load_globals, missing))
