//! Geo commands.

use crate::support::check::{check, compare, compare_lines};
use crate::support::random::Random;

const SICILY: &str = "GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";

#[test]
fn places_are_added_and_described() {
    check(
        &format!(
            "{SICILY}; GEODIST s Palermo Catania; GEODIST s Palermo Catania km; GEODIST s Palermo x; \
             GEOHASH s Palermo Catania x; ZSCORE s Palermo"
        ),
        "2; 166274.1516; 166.2742; nil; [sqc8b49rny0 sqdtr74hyu0 nil]; '3479099956230698'",
    );
    check(
        &format!("{SICILY}; GEOPOS s Palermo x"),
        "2; [[13.36138933897018433 38.11555639549629859] nil]",
    );
    check(
        "GEOADD k NX 1 1 a; GEOADD k NX 2 2 a; GEOADD k XX CH 2 2 a 3 3 b; GEOADD k CH 3 3 a 4 4 b; ZCARD k",
        "1; 0; 1; 2; 2",
    );
}

#[test]
fn places_are_found_around_a_point_or_a_member() {
    check(
        &format!(
            "{SICILY}; GEOADD s 12.758489 38.788135 edge1 17.24151 38.788135 edge2; \
             GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC; \
             GEOSEARCH s FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST; \
             GEOSEARCH s FROMMEMBER Palermo BYRADIUS 100 km DESC COUNT 1 WITHHASH"
        ),
        "2; 2; [Catania Palermo]; \
         [[Catania 56.4413] [Palermo 190.4424] [edge2 279.7403] [edge1 279.7405]]; \
         [[edge1 3479273021651468]]",
    );
    check(
        &format!(
            "{SICILY}; GEORADIUS s 15 37 200 km WITHDIST ASC; GEORADIUSBYMEMBER s Palermo 1 mi; \
             GEORADIUS s 15 37 200 km STOREDIST d; ZRANGE d 0 -1; \
             GEOSEARCHSTORE e s FROMLONLAT 15 37 BYRADIUS 100 km; ZSCORE e Catania; \
             GEOSEARCHSTORE e s FROMLONLAT 0 0 BYRADIUS 1 km; EXISTS e"
        ),
        "2; [[Catania 56.4413] [Palermo 190.4424]]; [Palermo]; 2; [Catania Palermo]; 1; \
         '3479447370796909'; 0; 0",
    );
}

#[test]
fn geo_commands_are_as_in_redis() {
    compare(
        "GEOADD
        GEOADD k 1 1
        GEOADD k 1 1 a 2
        GEOADD k NX XX 1 1 a
        GEOADD k NX NX 1 1 a; GEOADD k XX XX 2 2 b; GEOADD k CH CH CH
        GEOADD k FOO 1 1 a
        GEOADD k x 1 a
        GEOADD k 1 x a
        GEOADD k 181 0 a
        GEOADD k -180.0001 0 a
        GEOADD k 0 85.06 a
        GEOADD k 0 -90 a
        GEOADD k inf 0 a
        GEOADD k nan 0 a
        GEOADD k 1e300 1e300 a
        GEOADD k 1 1 a 200 1 b; EXISTS k
        SADD s x; GEOADD s 1 1 a; GEOADD s x 1 a
        GEOADD k 180 85.05112878 a -180 -85.05112878 b 0 0 c -0.0 -0.0 d; ZRANGE k 0 -1 WITHSCORES; GEOPOS k a b c d; GEOHASH k a b c d
        GEOADD k 1 1 a; GEOADD k 2 2 a; GEOADD k CH 3 3 a; GEOADD k CH 3 3 a; GEOADD k XX CH 4 4 b; GEOADD k nx ch 5 5 a 6 6 c; ZCARD k
        GEODIST
        GEODIST k a
        GEODIST k a b
        GEODIST missing a b; GEODIST missing a b FOO; GEODIST missing a b km x
        SADD s x; GEODIST s a b; GEODIST s a b FOO; GEOPOS s a; GEOHASH s a; GEOPOS s; GEOHASH s
        GEOADD k 13.361389 38.115556 a 15.087269 37.502669 b; GEODIST k a b; GEODIST k a b m; GEODIST k a b KM; GEODIST k a b ft; GEODIST k a b Mi; GEODIST k a b x; GEODIST k a c; GEODIST k a a; GEODIST k b a km
        GEOADD k 10 10 a 10 20 b 10 -30 c; GEODIST k a b; GEODIST k b c mi; GEODIST k a c km
        GEOADD k 0 0 a 180 0 b -180 0 c 90 85 d; GEODIST k a b; GEODIST k b c; GEODIST k a d
        GEOHASH missing a b; GEOPOS missing a b; GEOHASH missing; GEOPOS missing
        GEOADD k 13.361389 38.115556 a; GEOHASH k; GEOPOS k; GEOHASH k a x a; GEOPOS k a x a
        ZADD z 1 a 1.5 b 3479099956230698 c -1 d 1e15 e 9007199254740992 f; GEOPOS z a b c d e f; GEOHASH z a b c d e f; GEODIST z a c; GEODIST z d f
        ZADD z 1e300 a inf b -inf c 1e19 d; GEOPOS z a b c d; GEOHASH z a b c d; GEODIST z a b; GEOSEARCH z FROMLONLAT 0 0 BYRADIUS 30000 km
        GEORADIUS k 1 1 1
        GEORADIUS missing 1 1 1 km
        GEORADIUS missing x 1 1 km
        GEORADIUS missing 1 91 1 km
        GEORADIUS missing 1 1 x km
        GEORADIUS missing 1 1 -1 km
        GEORADIUS missing 1 1 -1 FOO
        GEORADIUS missing 1 1 1 FOO
        GEORADIUS missing 1 1 1 km FOO
        GEORADIUS missing 1 1 1 km COUNT
        GEORADIUS missing 1 1 1 km COUNT 0
        GEORADIUS missing 1 1 1 km COUNT x
        GEORADIUS missing 1 1 1 km COUNT -1
        GEORADIUS missing 1 1 1 km ANY
        GEORADIUS missing 1 1 1 km STORE
        GEORADIUS missing 1 1 1 km STORE d WITHDIST
        GEORADIUS missing 1 1 1 km STOREDIST d WITHCOORD
        GEORADIUS missing 1 1 1 km FROMLONLAT 1 1
        GEORADIUS missing 1 1 1 km BYRADIUS 1 km
        SET d x; GEORADIUS missing 1 1 1 km STORE d; EXISTS d
        SADD s x; GEORADIUS s 1 1 1 km; GEORADIUS s x 1 1 km; GEORADIUSBYMEMBER s a 1 km
        GEORADIUS_RO missing 1 1 1 km STORE d
        GEORADIUS_RO missing 1 1 1 km STOREDIST d
        GEORADIUSBYMEMBER missing a 1 km
        GEORADIUSBYMEMBER missing a x FOO
        GEORADIUSBYMEMBER missing a 1 km FOO
        GEORADIUSBYMEMBER missing a 1 km ANY
        SET d x; GEORADIUSBYMEMBER missing a 1 km STORE d; EXISTS d
        GEOADD k 1 1 a; GEORADIUSBYMEMBER k b 1 km; GEORADIUSBYMEMBER k a x km; GEORADIUSBYMEMBER k a 1 FOO; GEORADIUSBYMEMBER k a 0 m; GEORADIUSBYMEMBER_RO k a 1 km STORE d
        GEOADD k 1 1 a 1.1 1.1 b 1.2 1.2 c; GEORADIUS k 1 1 100 km WITHDIST WITHHASH WITHCOORD; GEORADIUS k 1 1 100 km DESC WITHDIST; GEORADIUS k 1 1 100 km COUNT 2; GEORADIUS k 1 1 100 km COUNT 1 DESC; GEORADIUS k 1 1 100 km COUNT 2 ANY; GEORADIUS k 1 1 100 km ANY COUNT 2 DESC
        GEOADD k 1 1 a 1.1 1.1 b 1.2 1.2 c; GEORADIUS k 1 1 100 km STORE d; ZRANGE d 0 -1 WITHSCORES; GEORADIUS k 1 1 100 km STOREDIST d; ZRANGE d 0 -1 WITHSCORES; GEORADIUS k 1 1 100 km COUNT 1 STORE d STOREDIST e; EXISTS d e; ZCARD e; TTL e
        GEOADD k 1 1 a 1.1 1.1 b; GEORADIUSBYMEMBER k a 20 km STORE k; ZRANGE k 0 -1
        GEOADD k 1 1 a; SET d x EX 100; GEORADIUS k 1 1 1 km STORE d; TTL d; GEORADIUS k 5 5 1 km STORE d; EXISTS d
        GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS 1 km
        GEOSEARCH missing FROMMEMBER a BYRADIUS 1 km
        GEOSEARCH missing BYRADIUS 1 km ASC WITHDIST WITHHASH
        GEOSEARCH missing FROMLONLAT 1 1 ASC WITHDIST WITHHASH
        geosearch missing FROMLONLAT 1 1 ASC WITHDIST WITHHASH
        GEOSEARCH missing FROMLONLAT 1 1 FROMMEMBER a BYRADIUS 1 km
        GEOSEARCH missing FROMMEMBER a FROMLONLAT 1 1 BYRADIUS 1 km
        GEOSEARCH missing FROMMEMBER a FROMMEMBER b BYRADIUS 1 km
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS 1 km BYBOX 1 1 km
        GEOSEARCH missing FROMLONLAT 1 1 BYBOX 1 1 km BYRADIUS 1 km
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS 1 km BYRADIUS 2 m
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS x km
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS -1 km
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS 1 FOO
        GEOSEARCH missing FROMLONLAT 1 1 BYBOX x 1 km
        GEOSEARCH missing FROMLONLAT 1 1 BYBOX 1 x km
        GEOSEARCH missing FROMLONLAT 1 1 BYBOX -1 1 km
        GEOSEARCH missing FROMLONLAT 1 1 BYBOX 1 -1 FOO
        GEOSEARCH missing FROMLONLAT 1 1 BYBOX 1 1 FOO
        GEOSEARCH missing FROMLONLAT 1 1 BYBOX 1 1
        GEOSEARCH missing FROMLONLAT 1 91 BYRADIUS 1 km
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS 1 km STORE d
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS 1 km STOREDIST
        GEOSEARCH missing FROMLONLAT 1 1 BYRADIUS 1 km ANY
        GEOADD k 1 1 a; GEOSEARCH k FROMMEMBER b BYRADIUS 1 km; GEOSEARCH k FROMMEMBER a BYRADIUS 0 m; GEOSEARCH k FROMMEMBER a BYBOX 0 0 m WITHDIST; GEOSEARCH k FROMMEMBER a BYRADIUS inf m
        SADD s x; GEOSEARCH s FROMLONLAT 1 1 BYRADIUS 1 km; GEOSEARCH s FOO BAR BAZ 1 1; GEOSEARCHSTORE d s FROMLONLAT 1 1 BYRADIUS 1 km
        GEOSEARCHSTORE d missing FROMLONLAT 1 1 BYRADIUS 1
        SET d x; GEOSEARCHSTORE d missing FROMLONLAT 1 1 BYRADIUS 1 km; EXISTS d
        SET d x; GEOSEARCHSTORE d missing FROMLONLAT 1 1 BYRADIUS 1 km WITHDIST; EXISTS d
        GEOSEARCHSTORE d missing BYRADIUS 1 km ASC COUNT 1
        GEOSEARCHSTORE d missing FROMLONLAT 1 1 BYRADIUS 1 km STORE e
        GEOADD k 1 1 a 1.1 1.1 b 1.2 1.2 c; GEOSEARCHSTORE d k FROMLONLAT 1 1 BYRADIUS 100 km; ZRANGE d 0 -1 WITHSCORES; GEOSEARCHSTORE d k FROMMEMBER a BYBOX 50 50 km STOREDIST; ZRANGE d 0 -1 WITHSCORES; GEOSEARCHSTORE k k FROMMEMBER a BYRADIUS 100 km COUNT 2 STOREDIST DESC; ZRANGE k 0 -1 WITHSCORES
        COMMAND GETKEYS GEORADIUS k 1 1 1 km STORE d
        COMMAND GETKEYS GEORADIUSBYMEMBER k a 1 km STOREDIST d COUNT 1
        COMMAND GETKEYS GEORADIUS k 1 1 1 km
        COMMAND GETKEYS GEOSEARCHSTORE d k FROMLONLAT 1 1 BYRADIUS 1 km",
    );
}

/// A coordinate, at the edges of what is allowed now and then.
fn coordinate(random: &mut Random, limit: f64) -> String {
    match random.below(30) {
        0 => format!("{limit}"),
        1 => format!("-{limit}"),
        _ => format!(
            "{:.6}",
            (random.below(2_000_001) as f64 / 1e6 - 1.0) * limit
        ),
    }
}

fn query(random: &mut Random, name: &str) -> String {
    // From a few metres to more than half the globe.
    let scale = 10_f64.powi(random.below(8) as i32);
    let length =
        |random: &mut Random| format!("{:.3}", (1 + random.below(300)) as f64 * scale / 100.0);
    let shape = match random.below(2) {
        0 => format!("BYRADIUS {}", length(random)),
        _ => format!("BYBOX {} {}", length(random), length(random)),
    };
    let unit = random.pick(&["m", "m", "m", "km", "ft", "mi"]);
    let centre = match random.below(3) {
        0 => format!("FROMMEMBER p{}", random.below(200)),
        _ => format!(
            "FROMLONLAT {} {}",
            coordinate(random, 180.0),
            coordinate(random, 85.051_128_78)
        ),
    };
    let order = random.pick(&["", "", " ASC", " DESC"]);
    let count = match random.below(4) {
        0 => format!(" COUNT {}", 1 + random.below(20)),
        1 => format!(" COUNT {} ANY", 1 + random.below(20)),
        _ => String::new(),
    };
    let details = random.pick(&["", "", " WITHDIST", " WITHCOORD WITHDIST WITHHASH"]);
    let details = if name == "GEOSEARCH" { details } else { "" };
    format!("{name} k {centre} {shape} {unit}{order}{count}{details}")
}

/// Unsorted replies too come in Redis's order: the same cells are looked at one after the other.
#[test]
fn thousands_of_random_queries_are_as_in_redis() {
    let mut random = Random(7);
    let mut lines = Vec::new();
    for round in 0..20 {
        // All over the globe, around one place, or at a pole.
        let (around, spread) = match round % 4 {
            0 => ((0.0, 0.0), 1.0),
            1 => ((13.0, 38.0), 0.01),
            2 => ((-120.0, 83.0), 0.02),
            _ => ((179.9, -10.0), 0.0005),
        };
        let mut commands = Vec::new();
        for block in 0..4 {
            let mut add = String::from("GEOADD k");
            for n in 0..50 {
                let at = |random: &mut Random, limit: f64, middle: f64| {
                    let share = random.below(2_000_001) as f64 / 1e6 - 1.0;
                    (middle + share * limit * spread).clamp(-limit, limit)
                };
                let longitude = at(&mut random, 180.0, around.0);
                let latitude = at(&mut random, 85.051_128_78, around.1);
                add.push_str(&format!(
                    " {longitude:.7} {latitude:.7} p{}",
                    block * 50 + n
                ));
            }
            commands.push(add);
        }
        for _ in 0..10 {
            let (one, other) = (random.below(200), random.below(200));
            commands.push(format!(
                "GEODIST k p{one} p{other} {}",
                random.pick(&["m", "km", "mi"])
            ));
            commands.push(format!(
                "GEOPOS k p{one} p{other}; GEOHASH k p{one} p{other}"
            ));
        }
        for _ in 0..150 {
            commands.push(query(&mut random, "GEOSEARCH"));
        }
        for _ in 0..10 {
            let query = query(&mut random, "GEOSEARCHSTORE d");
            commands.push(format!("{query}; ZRANGE d 0 -1 WITHSCORES"));
            // Scores that are distances are printed with more digits by 7.0.
            commands.push(format!("{query} STOREDIST; ZRANGE d 0 -1; ZCOUNT d 0 5"));
        }
        lines.push(commands.join("; "));
    }
    compare_lines(&lines, &["HELLO 3"]);
}
