//! The grammar: every form of every command that is sent, by family. `grammar.rs` says how a line
//! is read.

use crate::facts::Reference;
use crate::grammar::Nature::{Alone, Blocking, NotInScripts, Random, Restore, Scan, Subscriber};
use crate::grammar::{Form, form};

/// Commands that belong together.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) weight: usize,
    pub(crate) forms: &'static [Form],
    pub(crate) refers_to: Reference,
}

const fn family(name: &'static str, weight: usize, forms: &'static [Form]) -> Family {
    Family {
        name,
        weight,
        forms,
        refers_to: Reference::Nothing,
    }
}

impl Family {
    const fn refers_to(self, refers_to: Reference) -> Family {
        Family { refers_to, ..self }
    }
}

pub(crate) const FAMILIES: &[Family] = &[
    family("strings", 12, STRINGS),
    family("bitmaps", 6, BITMAPS),
    family("hyperloglog", 3, HYPERLOGLOG),
    family("lists", 12, LISTS),
    family("sets", 11, SETS),
    family("hashes", 11, HASHES),
    family("sorted sets", 18, SORTED_SETS),
    family("geo", 5, GEO),
    family("streams", 9, STREAMS),
    family("groups", 9, GROUPS).refers_to(Reference::Groups),
    family("keys", 10, KEYS),
    family("sort", 3, SORT),
    family("databases", 1, DATABASES),
    family("scripts", 4, SCRIPTS).refers_to(Reference::Scripts),
    family("lua", 4, LUA),
    family("functions", 3, FUNCTIONS).refers_to(Reference::Libraries),
    family("publish", 3, PUBLISH),
    family("connection", 1, CONNECTION),
];

const STRINGS: &[Form] = &[
    form(6, "SET key(str) value"),
    form(
        6,
        "SET key(str) value opt[NX|XX] opt[GET] opt[EX ttl|PX ttlms|EXAT at|PXAT atms|KEEPTTL]",
    ),
    form(4, "SET key(num) number"),
    form(3, "SET key(text) text"),
    form(5, "GET key(str num)"),
    form(1, "GETDEL key(str)"),
    form(
        3,
        "GETEX key(str) opt[EX ttl|PX ttlms|EXAT at|PXAT atms|PERSIST|EXAT past]",
    ),
    form(2, "GETSET key(str) value"),
    form(3, "GETRANGE key(str) index index"),
    form(1, "SUBSTR key(str) index index"),
    form(3, "SETRANGE key(str) offset value"),
    form(2, "STRLEN key(str num)"),
    form(2, "APPEND key(str) value"),
    form(3, "one[INCR|DECR] key(num)"),
    form(4, "one[INCRBY|DECRBY] key(num) int"),
    form(4, "INCRBYFLOAT key(num) float"),
    form(3, "MGET many(key(str num hash))"),
    form(2, "MSET many(key(str) value)"),
    form(1, "MSETNX some(key(str) value)"),
    form(2, "SETNX key(str) value"),
    form(1, "SETEX key(str) ttl value"),
    form(1, "PSETEX key(str) ttlms value"),
    form(
        4,
        "LCS key(text) key(text) opt[LEN|IDX mix[MINMATCHLEN few|WITHMATCHLEN]]",
    ),
];

const BITMAPS: &[Form] = &[
    form(3, "SET key(bits) value"),
    form(6, "SETBIT key(bits) bitoffset bit"),
    form(4, "GETBIT key(bits) bitoffset"),
    form(4, "BITCOUNT key(bits) opt[index index opt[BYTE|BIT]]"),
    form(
        4,
        "BITPOS key(bits) bit opt[index opt[index opt[BYTE|BIT]]]",
    ),
    form(4, "BITOP one[AND|OR|XOR] key(bits) some(key(bits))"),
    form(1, "BITOP NOT key(bits) key(bits)"),
    form(
        8,
        "BITFIELD key(bits) many(one[GET fieldtype fieldoffset|SET fieldtype fieldoffset fieldvalue|\
         INCRBY fieldtype fieldoffset int|OVERFLOW one[WRAP|SAT|FAIL]])",
    ),
    form(3, "BITFIELD_RO key(bits) some(GET fieldtype fieldoffset)"),
];

const HYPERLOGLOG: &[Form] = &[
    form(6, "PFADD key(hll) many(member)"),
    form(1, "PFADD key(hll)"),
    form(5, "PFCOUNT some(key(hll))"),
    form(2, "PFMERGE key(hll) some(key(hll))"),
    form(1, "GET key(hll)"),
    form(1, "SET key(hll) value"),
    form(1, "COPY key(hll) key(hll) REPLACE"),
    form(1, "PFCOUNT key(list set)"),
];

const LISTS: &[Form] = &[
    form(10, "one[LPUSH|RPUSH] key(list) many(element)"),
    form(2, "one[LPUSHX|RPUSHX] key(list) many(element)"),
    form(5, "one[LPOP|RPOP] key(list) opt[count]"),
    form(4, "LLEN key(list)"),
    form(4, "LINDEX key(list) index"),
    form(3, "LSET key(list) index element"),
    form(6, "LRANGE key(list) index index"),
    form(3, "LREM key(list) removals element"),
    form(2, "LTRIM key(list) index index"),
    form(3, "LINSERT key(list) one[BEFORE|AFTER] element element"),
    form(
        5,
        "LPOS key(list) element mix[RANK rank|COUNT count|MAXLEN count]",
    ),
    form(2, "RPOPLPUSH key(list) key(list)"),
    form(
        3,
        "LMOVE key(list) key(list) one[LEFT|RIGHT] one[LEFT|RIGHT]",
    ),
    form(3, "LMPOP counted(key(list)) one[LEFT|RIGHT] opt[COUNT few]"),
    form(1, "one[BLPOP|BRPOP] some(key(list)) timeout").nature(Blocking),
    form(1, "BRPOPLPUSH key(list) key(list) timeout").nature(Blocking),
    form(
        1,
        "BLMOVE key(list) key(list) one[LEFT|RIGHT] one[LEFT|RIGHT] timeout",
    )
    .nature(Blocking),
    form(
        1,
        "BLMPOP timeout counted(key(list)) one[LEFT|RIGHT] opt[COUNT few]",
    )
    .nature(Blocking),
];

const SETS: &[Form] = &[
    form(10, "SADD key(set) many(member)"),
    form(4, "SREM key(set) many(member)"),
    form(3, "SCARD key(set)"),
    form(4, "SISMEMBER key(set) member"),
    form(3, "SMISMEMBER key(set) many(member)"),
    form(4, "SMEMBERS key(set)"),
    form(2, "SMOVE key(set) key(set) member"),
    form(6, "one[SINTER|SUNION|SDIFF] some(key(set))"),
    form(
        3,
        "one[SINTERSTORE|SUNIONSTORE|SDIFFSTORE] key(set) some(key(set))",
    ),
    form(3, "SINTERCARD counted(key(set)) opt[LIMIT count]"),
    form(2, "SPOP key(set) opt[count]").nature(Random),
    form(3, "SRANDMEMBER key(set) opt[draws]").nature(Random),
    form(2, "SSCAN key(set) 0 mix[MATCH pattern|COUNT few]").nature(Scan),
];

const HASHES: &[Form] = &[
    form(10, "HSET key(hash) many(field value)"),
    form(1, "HMSET key(hash) many(field value)"),
    form(2, "HSETNX key(hash) field value"),
    form(5, "HGET key(hash) field"),
    form(4, "HMGET key(hash) many(field)"),
    form(4, "HGETALL key(hash)"),
    form(2, "one[HKEYS|HVALS] key(hash)"),
    form(3, "HDEL key(hash) many(field)"),
    form(3, "HEXISTS key(hash) field"),
    form(2, "HLEN key(hash)"),
    form(2, "HSTRLEN key(hash) field"),
    form(3, "HSET key(hash) field number"),
    form(4, "HINCRBY key(hash) field int"),
    form(4, "HINCRBYFLOAT key(hash) field float"),
    form(3, "HRANDFIELD key(hash) opt[draws opt[WITHVALUES]]").nature(Random),
    form(2, "HSCAN key(hash) 0 mix[MATCH pattern|COUNT few]").nature(Scan),
];

const SORTED_SETS: &[Form] = &[
    form(14, "ZADD key(zset) many(score member)"),
    form(
        8,
        "ZADD key(zset) opt[NX|XX|XX GT|XX LT|GT|LT] opt[CH] many(score member)",
    ),
    form(
        2,
        "ZADD key(zset) opt[NX|XX] opt[GT|LT] opt[CH] INCR score member",
    ),
    form(6, "ZADD key(lex) many(0 member)"),
    form(3, "ZINCRBY key(zset) score member"),
    form(4, "ZSCORE key(zset) member"),
    form(2, "ZMSCORE key(zset) many(member)"),
    form(4, "one[ZRANK|ZREVRANK] key(zset) member"),
    form(2, "ZCARD key(zset)"),
    form(3, "ZCOUNT key(zset) bound bound"),
    form(3, "ZREM key(zset) many(member)"),
    form(
        3,
        "one[ZRANGE|ZREVRANGE] key(zset) index index opt[WITHSCORES]",
    ),
    form(6, "ZRANGE key(zset) index index mix[REV|WITHSCORES]"),
    form(
        6,
        "ZRANGE key(zset) bound bound BYSCORE mix[REV|WITHSCORES|LIMIT index index]",
    ),
    form(
        4,
        "ZRANGE key(lex) lex lex BYLEX mix[REV|LIMIT index index]",
    ),
    form(
        4,
        "one[ZRANGEBYSCORE|ZREVRANGEBYSCORE] key(zset) bound bound mix[WITHSCORES|LIMIT index index]",
    ),
    form(
        4,
        "one[ZRANGEBYLEX|ZREVRANGEBYLEX] key(lex) lex lex opt[LIMIT index index]",
    ),
    form(2, "ZLEXCOUNT key(lex) lex lex"),
    form(
        3,
        "ZRANGESTORE key(zset) key(zset) one[index index opt[REV]|\
         bound bound BYSCORE mix[REV|LIMIT index index]]",
    ),
    form(
        1,
        "ZRANGESTORE key(zset) key(lex) lex lex BYLEX mix[REV|LIMIT index index]",
    ),
    form(1, "ZREMRANGEBYRANK key(zset) index index"),
    form(1, "ZREMRANGEBYSCORE key(zset) bound bound"),
    form(1, "ZREMRANGEBYLEX key(lex) lex lex"),
    form(3, "one[ZPOPMIN|ZPOPMAX] key(zset) opt[count]"),
    form(3, "ZMPOP counted(key(zset)) one[MIN|MAX] opt[COUNT few]"),
    form(
        5,
        "one[ZUNION|ZINTER] counted(key(zset set)) \
         mix[WEIGHTS each(weight)|AGGREGATE one[SUM|MIN|MAX]|WITHSCORES]",
    ),
    form(2, "ZDIFF counted(key(zset set)) opt[WITHSCORES]"),
    form(
        4,
        "one[ZUNIONSTORE|ZINTERSTORE] key(zset) counted(key(zset set)) \
         mix[WEIGHTS each(weight)|AGGREGATE one[SUM|MIN|MAX]]",
    ),
    form(1, "ZDIFFSTORE key(zset) counted(key(zset set))"),
    form(2, "ZINTERCARD counted(key(zset set)) opt[LIMIT count]"),
    form(3, "ZRANDMEMBER key(zset) opt[draws opt[WITHSCORES]]").nature(Random),
    form(2, "ZSCAN key(zset) 0 mix[MATCH pattern|COUNT few]").nature(Scan),
    form(1, "one[BZPOPMIN|BZPOPMAX] some(key(zset)) timeout").nature(Blocking),
    form(
        1,
        "BZMPOP timeout counted(key(zset)) one[MIN|MAX] opt[COUNT few]",
    )
    .nature(Blocking),
];

const GEO: &[Form] = &[
    form(
        8,
        "GEOADD key(geo) opt[NX|XX] opt[CH] many(longitude latitude place)",
    ),
    form(3, "GEODIST key(geo) place place opt[unit]"),
    form(3, "GEOHASH key(geo) many(place)"),
    form(3, "GEOPOS key(geo) many(place)"),
    form(
        4,
        "GEORADIUS key(geo) longitude latitude radius unit \
         mix[WITHCOORD|WITHDIST|WITHHASH|COUNT few opt[ANY]|one[ASC|DESC]]",
    ),
    form(
        1,
        "GEORADIUS_RO key(geo) longitude latitude radius unit mix[WITHCOORD|WITHDIST|one[ASC|DESC]]",
    ),
    form(
        3,
        "GEORADIUSBYMEMBER key(geo) place radius unit \
         mix[WITHCOORD|WITHDIST|WITHHASH|COUNT few opt[ANY]|one[ASC|DESC]]",
    ),
    form(
        1,
        "GEORADIUSBYMEMBER_RO key(geo) place radius unit mix[WITHDIST|one[ASC|DESC]]",
    ),
    form(
        1,
        "GEORADIUS key(geo) longitude latitude radius unit one[STORE|STOREDIST] key(geo zset)",
    ),
    form(
        1,
        "GEORADIUSBYMEMBER key(geo) place radius unit one[STORE|STOREDIST] key(geo zset)",
    ),
    form(
        6,
        "GEOSEARCH key(geo) one[FROMMEMBER place|FROMLONLAT longitude latitude] \
         one[BYRADIUS radius unit|BYBOX radius radius unit] \
         mix[WITHCOORD|WITHDIST|WITHHASH|COUNT few opt[ANY]|one[ASC|DESC]]",
    ),
    form(
        2,
        "GEOSEARCHSTORE key(geo zset) key(geo) one[FROMMEMBER place|FROMLONLAT longitude latitude] \
         one[BYRADIUS radius unit|BYBOX radius radius unit] mix[COUNT few|one[ASC|DESC]|STOREDIST]",
    ),
];

const STREAMS: &[Form] = &[
    form(12, "XADD key(stream) newid many(field value)"),
    form(
        4,
        "XADD key(stream) opt[NOMKSTREAM] opt[one[MAXLEN opt[=] maxlen|MINID opt[=] id]] newid \
         many(field value)",
    ),
    form(
        2,
        "XADD key(stream) one[MAXLEN|MINID] ~ 0 opt[LIMIT few] newid field value",
    ),
    form(3, "XLEN key(stream)"),
    form(5, "XRANGE key(stream) from to opt[COUNT count]"),
    form(3, "XREVRANGE key(stream) to from opt[COUNT count]"),
    form(2, "XDEL key(stream) many(id)"),
    form(
        1,
        "XTRIM key(stream) one[MAXLEN opt[=] maxlen|MINID opt[=] id]",
    ),
    form(4, "XREAD opt[COUNT count] STREAMS key(stream) id").nature(Blocking),
    form(
        2,
        "XREAD opt[COUNT count] STREAMS key(stream) key(stream) id id",
    )
    .nature(Blocking),
    form(1, "XREAD BLOCK 1 STREAMS key(stream) $").nature(Blocking),
    form(
        2,
        "XSETID key(stream) id opt[ENTRIESADDED few MAXDELETEDID id]",
    ),
    form(2, "XINFO STREAM key(stream)"),
    form(2, "XINFO STREAM key(stream) FULL opt[COUNT count]"),
];

const GROUPS: &[Form] = &[
    form(
        3,
        "XGROUP CREATE key(ungrouped) newgroup one[$|0|id] opt[MKSTREAM] opt[ENTRIESREAD few]",
    ),
    form(3, "XGROUP CREATE key(ungrouped) newgroup 0 MKSTREAM").founding(),
    form(
        1,
        "XGROUP SETID key(grouped) group one[$|0|id] opt[ENTRIESREAD few]",
    ),
    form(1, "XGROUP DESTROY key(grouped) group"),
    form(2, "XGROUP CREATECONSUMER key(grouped) group consumer"),
    form(1, "XGROUP DELCONSUMER key(grouped) group owner"),
    form(
        10,
        "XREADGROUP GROUP group consumer opt[COUNT count] opt[NOACK] STREAMS key(grouped) \
         one[>|>|>|id|0]",
    )
    .nature(Blocking),
    form(
        2,
        "XREADGROUP GROUP group owner STREAMS key(grouped) one[0|pendingid]",
    )
    .nature(Blocking),
    form(
        2,
        "XREADGROUP GROUP group consumer opt[COUNT count] STREAMS key(grouped) key(grouped) > \
         one[>|0]",
    )
    .nature(Blocking),
    form(
        1,
        "XREADGROUP GROUP group consumer BLOCK 1 STREAMS key(grouped) >",
    )
    .nature(Blocking),
    form(4, "XACK key(grouped) group many(pendingid)"),
    form(3, "XPENDING key(grouped) group"),
    form(
        4,
        "XPENDING key(grouped) group opt[IDLE idle] from to count opt[owner]",
    ),
    form(1, "XDEL key(grouped) some(pendingid)"),
    form(
        5,
        "XCLAIM key(grouped) group consumer idle many(one[pendingid|pendingid|id]) \
         mix[IDLE delivered|TIME delivered|RETRYCOUNT few|FORCE|JUSTID|LASTID id]",
    ),
    form(
        3,
        "XAUTOCLAIM key(grouped) group consumer idle one[0|pendingid|id] mix[COUNT few|JUSTID]",
    ),
    form(2, "XINFO GROUPS key(grouped)"),
    form(2, "XINFO CONSUMERS key(grouped) group"),
];

const KEYS: &[Form] = &[
    form(6, "DEL some(key(any))"),
    form(1, "UNLINK some(key(any))"),
    form(5, "EXISTS many(key(any))"),
    form(4, "TYPE key(any)"),
    form(2, "TOUCH many(key(any))"),
    form(4, "EXPIRE key(any) ttl opt[NX|XX|GT|LT]"),
    form(3, "PEXPIRE key(any) ttlms opt[NX|XX|GT|LT]"),
    form(
        3,
        "EXPIREAT key(any) one[at|at|at|past] opt[NX|XX|GT|LT|XX GT]",
    ),
    form(
        3,
        "PEXPIREAT key(any) one[atms|atms|atms|past] opt[NX|XX|GT|LT|NX XX]",
    ),
    form(6, "one[TTL|PTTL|EXPIRETIME|PEXPIRETIME] key(any)"),
    form(3, "PERSIST key(any)"),
    form(3, "RENAME key(any) key(any)"),
    form(1, "RENAMENX key(any) key(any)"),
    form(3, "COPY key(any) key(any) opt[DB db] opt[REPLACE]"),
    form(2, "KEYS keypattern").nature(NotInScripts),
    form(1, "RANDOMKEY").nature(Random),
    form(1, "DBSIZE").nature(NotInScripts),
    form(
        2,
        "SCAN 0 mix[MATCH keypattern|COUNT few|TYPE one[STRING|LIST|SET|HASH|ZSET|STREAM|NONE]]",
    )
    .nature(Scan),
    form(2, "DUMP key(any)").nature(Random),
    form(6, "RESTORE key(any) 0 key(any) opt[REPLACE]").nature(Restore),
    form(
        1,
        "RESTORE key(any) restorems key(any) mix[REPLACE|IDLETIME few|FREQ few]",
    )
    .nature(Restore),
    form(
        1,
        "RESTORE key(any) one[atms|past] key(any) mix[REPLACE] ABSTTL",
    )
    .nature(Restore),
    form(4, "OBJECT ENCODING key(str num)"),
    form(2, "OBJECT ENCODING key(any)"),
    form(1, "OBJECT FREQ key(any)"),
];

const SORT: &[Form] = &[
    form(1, "SET key(weight) number"),
    form(
        3,
        "one[SORT|SORT_RO] key(list set zset) mix[LIMIT index index|one[ASC|DESC]|ALPHA]",
    ),
    form(
        2,
        "SORT key(list set) ALPHA mix[LIMIT index index|DESC] STORE key(list)",
    ),
    form(
        2,
        "SORT key(list zset) BY 'nosort' mix[LIMIT index index|one[ASC|DESC]|GET #]",
    )
    .nature(NotInScripts),
    form(
        2,
        "SORT key(list set) BY 'weight:*' mix[GET #|GET 'str:*'|ALPHA]",
    )
    .nature(NotInScripts),
    form(
        1,
        "SORT key(list set) BY 'hash:*->a' mix[GET #|GET 'hash:*->b'|DESC|LIMIT index index]",
    )
    .nature(NotInScripts),
    form(
        1,
        "SORT key(list set) ALPHA some(GET one['num:*'|'hash:*->a'|#|'nothing'])",
    )
    .nature(NotInScripts),
];

const DATABASES: &[Form] = &[
    form(4, "SELECT db"),
    form(4, "MOVE key(any) db"),
    form(2, "SWAPDB db db").nature(NotInScripts),
    form(1, "FLUSHDB opt[ASYNC|SYNC]").nature(NotInScripts),
    form(1, "FLUSHALL opt[ASYNC|SYNC]").nature(NotInScripts),
];

/// Scripts may not call what runs scripts; that is met now and then, too.
const SCRIPTS: &[Form] = &[
    form(10, "EVAL body 1 key(str num) value")
        .nature(NotInScripts)
        .founding(),
    form(1, "EVAL body 1 key(str num) value"),
    form(2, "EVAL body counted(key(str)) value").nature(NotInScripts),
    form(2, "EVAL_RO body 1 key(str num) value").nature(NotInScripts),
    form(3, "SCRIPT LOAD body").nature(NotInScripts),
    form(2, "SCRIPT EXISTS many(sha)").nature(NotInScripts),
    form(6, "EVALSHA sha 1 key(str num) value").nature(NotInScripts),
    form(1, "EVALSHA_RO sha 1 key(str num) value").nature(NotInScripts),
    form(1, "one[EVALSHA|EVALSHA_RO] sha 1 key(str) value"),
    form(1, "SCRIPT FLUSH opt[ASYNC|SYNC]").nature(Alone),
    form(1, "SCRIPT KILL").nature(Alone),
];

const LUA: &[Form] = &[
    form(4, "EVAL ontexts 1 key(str) luatext luatext").nature(NotInScripts),
    form(2, "EVAL onpatterns 0 luatext luapattern").nature(NotInScripts),
    form(4, "EVAL onnumbers 1 key(str) luanumber luanumber").nature(NotInScripts),
];

const FUNCTIONS: &[Form] = &[
    form(6, "FUNCTION LOAD REPLACE library").nature(NotInScripts),
    form(4, "FUNCTION LOAD newlibrary")
        .nature(NotInScripts)
        .founding(),
    form(9, "FCALL function 1 key(str) value").nature(NotInScripts),
    form(4, "one[FCALL|FCALL_RO] reader 1 key(str) value").nature(NotInScripts),
    form(1, "one[FCALL|FCALL_RO] function 1 key(str) value"),
    form(1, "FCALL function counted(key(str)) many(value)").nature(NotInScripts),
    form(2, "FUNCTION DELETE libraryname").nature(NotInScripts),
    form(1, "FUNCTION FLUSH opt[ASYNC|SYNC]").nature(NotInScripts),
    form(3, "FUNCTION LIST mix[LIBRARYNAME libraryname|WITHCODE]").nature(NotInScripts),
    form(1, "FUNCTION LIST"),
    form(1, "FUNCTION KILL").nature(Alone),
];

const PUBLISH: &[Form] = &[
    form(6, "PUBLISH channel value"),
    form(3, "SPUBLISH channel value"),
    form(2, "PUBSUB CHANNELS opt[channelpattern]"),
    form(2, "PUBSUB NUMSUB some(channel)"),
    form(1, "PUBSUB NUMPAT"),
    form(1, "PUBSUB SHARDCHANNELS opt[channelpattern]"),
    form(1, "PUBSUB SHARDNUMSUB some(channel)"),
    form(2, "one[SUBSCRIBE|UNSUBSCRIBE] some(channel)").nature(Subscriber),
    form(2, "one[PSUBSCRIBE|PUNSUBSCRIBE] some(channelpattern)").nature(Subscriber),
    form(2, "one[SSUBSCRIBE|SUNSUBSCRIBE] some(channel)").nature(Subscriber),
];

const CONNECTION: &[Form] = &[
    form(2, "PING opt[value]"),
    form(2, "ECHO value"),
    form(2, "CLIENT SETNAME name"),
    form(2, "CLIENT GETNAME"),
];
