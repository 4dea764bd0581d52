//! Sorted sets.

use std::collections::BTreeSet;

use crate::support::check::{check, check_in_both, compare};
use crate::support::client::Client;
use crate::support::server::Server;

#[test]
fn members_get_scores() {
    check(
        "ZADD z 1 a 2 b 2 a; ZCARD z; ZSCORE z a; ZSCORE z x; ZMSCORE z b x; ZMSCORE m a; ZSCORE m a; ZCARD m",
        "2; 2; '2'; nil; ['2' nil]; [nil]; nil; 0",
    );
    check(
        "ZADD z 0.1 a; ZSCORE z a; ZADD z 1e300 a; ZSCORE z a; ZADD z -inf a; ZSCORE z a; ZADD z 1700000000000 a; ZSCORE z a",
        "1; 0.1; 0; 1e+300; 0; -inf; 0; '1700000000000'",
    );
    check(
        "ZADD z 1e16 a 5e-324 b 1e17 c; ZMSCORE z a b c",
        "3; ['10000000000000000' 5e-324 1e+17]",
    );
    check(
        "ZADD z 0 a; ZADD z -0 a; ZADD z CH -0 a; ZSCORE z a",
        "1; 0; 0; '0'",
    );
    check(
        "ZADD z 1 a 2 b; ZREM z a x; ZREM z b; EXISTS z; ZREM z b",
        "2; 1; 1; 0; 0",
    );
}

#[test]
fn options_of_zadd_decide_what_is_written() {
    check(
        "ZADD z XX 1 a; EXISTS z; ZADD z NX 1 a; ZADD z NX 2 a 2 b; ZADD z XX 3 a 3 c; ZRANGE z 0 -1",
        "0; 0; 1; 1; 0; [b a]",
    )
}

#[test]
fn options_of_zadd_compare_with_the_score_there_is() {
    check(
        "ZADD z 5 a; ZADD z GT 4 a; ZSCORE z a; ZADD z GT CH 6 a; ZADD z LT CH 7 a 1 b; ZADD z LT CH 1 a; ZADD z XX GT CH 9 a 9 c; ZSCORE z a",
        "1; 0; '5'; 1; 1; 1; 1; '9'",
    );
    check(
        "ZADD z INCR 2 a; ZADD z INCR 2.5 a; ZADD z NX INCR 1 a; ZADD z XX INCR 1 b; ZADD z GT INCR -1 a; ZADD z LT INCR -1 a; ZINCRBY z 1.5 a; ZINCRBY z 1 b",
        "'2'; 4.5; nil; nil; nil; 3.5; '5'; '1'",
    );
    check(
        "ZADD z NX XX 1 a; ZADD z NX GT 1 a; ZADD z GT LT 1 a; ZADD z INCR 1 a 2 b; ZADD z 1 a x b; ZADD z 1 a 2; ZADD z nan a; EXISTS z",
        "(ERR XX and NX options at the same time are not compatible); \
         (ERR GT, LT, and/or NX options at the same time are not compatible); \
         (ERR GT, LT, and/or NX options at the same time are not compatible); \
         (ERR INCR option supports a single increment-element pair); \
         (ERR value is not a valid float); (ERR syntax error); (ERR value is not a valid float); 0",
    );
    check(
        "ZADD z inf a; ZINCRBY z -inf a; ZSCORE z a",
        "1; (ERR resulting score is not a number (NaN)); inf",
    );
}

#[test]
fn ranks_count_from_either_end() {
    check_in_both(
        "ZADD z 1 a 2 b 3 c; ZRANK z a; ZRANK z c; ZREVRANK z a; ZRANK z x; ZRANK m a; ZRANK z b WITHSCORE; ZREVRANK z c withscore; ZRANK z x WITHSCORE; ZRANK m a WITHSCORE",
        "3; 0; 2; 2; nil; nil; [1 '2']; [0 '3']; nil; nil",
        "3; 0; 2; 2; nil; nil; [1 '2']; [0 '3']; nil; nil",
    );
    check("ZRANK z a FOO", "(ERR syntax error)");
    check(
        "ZREVRANK z a WITHSCORE x",
        "(ERR wrong number of arguments for 'zrevrank' command)",
    );
}

#[test]
fn equal_scores_are_ordered_by_member() {
    check(
        "ZADD z 1 b 1 a 1 aa 0 z; ZRANGE z 0 -1; ZREVRANGE z 0 -1; ZREM z z; ZRANGEBYLEX z [a (b",
        "4; [z a aa b]; [b aa a z]; 1; [a aa]",
    );
}

/// By the members alone, as far as these rise with the scores.
#[test]
fn scores_that_differ_do_not_matter_between_members() {
    compare(
        "ZADD z 1 a 2 b 3 c 4 d
        ZRANGEBYLEX z [b [c; ZRANGEBYLEX z (a (c; ZREVRANGEBYLEX z [c [b; ZRANGE z [b [c BYLEX; ZLEXCOUNT z - [c; ZLEXCOUNT z [e +
        ZRANGESTORE t z [b [c BYLEX; ZRANGE t 0 -1 WITHSCORES; ZREMRANGEBYLEX z [b [c; ZRANGE z 0 -1",
    );
    let many: Vec<String> = (100..400).map(|n| format!("{n} m{n}")).collect();
    compare(&format!(
        "ZADD z {}; ZRANGEBYLEX z [m150 (m153; ZREVRANGEBYLEX z (m399 [m3965; ZLEXCOUNT z (m100 (m399",
        many.join(" ")
    ));
}

#[test]
fn a_stretch_is_given_by_rank_score_or_member() {
    check_in_both(
        "ZADD z 1 a 2 b 3 c; ZRANGE z 0 -1 WITHSCORES; ZRANGE z 0 1 REV WITHSCORES",
        "3; [a '1' b '2' c '3']; [c '3' b '2']",
        "3; [[a '1'] [b '2'] [c '3']]; [[c '3'] [b '2']]",
    );
    check(
        "ZADD z 1 a 2 b 3 c 4 d; ZRANGE z (1 3 BYSCORE; ZRANGE z 3 (1 BYSCORE REV; ZRANGEBYSCORE z -inf (3 LIMIT 1 5; ZREVRANGEBYSCORE z +inf 2 LIMIT 1 1; ZRANGE z 1 2; ZREVRANGE z 1 2; ZRANGE z 5 9",
        "4; [b c]; [c b]; [b]; [c]; [b c]; [c b]; []",
    );
    check(
        "ZADD z 0 a 0 b 0 c 0 d; ZRANGE z [b + BYLEX; ZRANGE z + (b BYLEX REV LIMIT 1 1; ZREVRANGEBYLEX z (d -; ZLEXCOUNT z - (c; ZRANGEBYLEX z + -; ZRANGEBYLEX z b c",
        "4; [b c d]; [c]; [c b a]; 2; []; (ERR min or max not valid string range item)",
    );
    check(
        "ZADD z 1 a 2 b 3 c 4 d; ZRANGEBYSCORE z 1 4 LIMIT 1 -1; ZRANGEBYSCORE z 1 4 LIMIT -1 2; ZRANGEBYSCORE z 1 4 LIMIT 9 2; ZREVRANGEBYSCORE z 4 1 LIMIT 3 9223372036854775807; ZCOUNT z 2 (4; ZCOUNT z (4 9; ZCOUNT z 4 1",
        "4; [b c d]; []; []; [a]; 2; 0; 0",
    );
    check(
        "ZRANGE z 0 1 LIMIT 0 1; ZRANGE z - + BYLEX WITHSCORES; ZRANGE z 0 1 BYSCORE BYLEX; ZREVRANGE z 0 1 REV; ZCOUNT z x 1; ZRANGE z a 1",
        "(ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX); \
         (ERR syntax error, WITHSCORES not supported in combination with BYLEX); (ERR syntax error); \
         (ERR syntax error); (ERR min or max is not a float); \
         (ERR value is not an integer or out of range)",
    );
}

#[test]
fn a_stretch_is_stored_or_removed() {
    check(
        "ZADD z 1 a 2 b 3 c 4 d; SET t v; ZRANGESTORE t z 1 2; ZRANGE t 0 -1; ZRANGESTORE t z 4 (1 BYSCORE REV LIMIT 0 2; ZRANGE t 0 -1; ZRANGESTORE t m 0 -1; EXISTS t; ZRANGESTORE z z 0 0; ZRANGE z 0 -1",
        "4; OK; 2; [b c]; 2; [c d]; 0; 0; 1; [a]",
    );
    check(
        "ZADD z 1 a 2 b 3 c 4 d 5 e; ZREMRANGEBYRANK z 0 0; ZREMRANGEBYRANK z -1 -1; ZREMRANGEBYSCORE z (2 3; ZRANGE z 0 -1; ZREMRANGEBYSCORE z 8 9; ZREMRANGEBYRANK z 0 -1; EXISTS z",
        "5; 1; 1; 1; [b d]; 0; 2; 0",
    );
    check(
        "ZADD z 0 a 0 b 0 c; ZREMRANGEBYLEX z [a (c; ZRANGE z 0 -1; ZREMRANGEBYLEX m - +; ZREMRANGEBYLEX z - +; EXISTS z",
        "3; 2; [c]; 0; 1; 0",
    );
}

#[test]
fn the_lowest_and_the_highest_are_taken() {
    check_in_both(
        "ZADD z 1 a 2 b 3 c 4 d 5 e; ZPOPMIN z; ZPOPMAX z; ZPOPMIN z 0; ZPOPMAX z 2; ZMPOP 2 m z MIN COUNT 9; EXISTS z; ZPOPMIN z; ZPOPMIN z 1; ZMPOP 1 z MAX",
        "5; [a '1']; [e '5']; []; [d '4' c '3']; [z [[b '2']]]; 0; []; []; nil",
        "5; [a '1']; [e '5']; []; [[d '4'] [c '3']]; [z [[b '2']]]; 0; []; []; nil",
    );
    check(
        "ZADD z 1 a 2 b 3 c; BZPOPMIN m z 0; BZPOPMAX z 0; BZMPOP 0 2 m z MAX; BZPOPMIN z 0.01; BZMPOP 0.01 1 z MIN",
        "3; [z a '1']; [z c '3']; [z [[b '2']]]; nil; nil",
    );
}

#[test]
fn sets_are_united_intersected_and_subtracted() {
    let inputs = "ZADD a 1 x 2 y 3 z; ZADD b 10 y 20 z 30 w; SADD s x w";
    check_in_both(
        &format!(
            "{inputs}; ZUNION 2 a b; ZUNION 3 a b s WITHSCORES WEIGHTS 1 2 5; ZINTER 2 a b WITHSCORES AGGREGATE MAX; ZDIFF 2 a b WITHSCORES; ZINTERCARD 2 a b; ZINTERCARD 2 a b LIMIT 1; ZINTER 2 a m"
        ),
        "3; 3; 2; [x y z w]; [x '6' y '22' z '43' w '65']; [y '10' z '20']; [x '1']; 2; 1; []",
        "3; 3; 2; [x y z w]; [[x '6'] [y '22'] [z '43'] [w '65']]; [[y '10'] [z '20']]; [[x '1']]; 2; 1; []",
    );
    check(
        &format!(
            "{inputs}; ZUNIONSTORE d 2 a b AGGREGATE MIN; ZRANGE d 0 -1; ZINTERSTORE d 2 a s WEIGHTS 2 3; ZSCORE d x; ZDIFFSTORE d 2 a s; ZRANGE d 0 -1; ZDIFFSTORE d 1 m; EXISTS d; ZUNIONSTORE a 2 a a; ZSCORE a z"
        ),
        "3; 3; 2; 4; [x y z w]; 1; '5'; 2; [y z]; 0; 0; 3; '6'",
    );
    check(
        "ZADD a inf x; ZADD b -inf x; ZUNIONSTORE c 2 a b; ZSCORE c x; ZUNIONSTORE c 1 a WEIGHTS 0; ZSCORE c x",
        "1; 1; 1; '0'; 1; '0'",
    );
    check(
        "ZUNION 0 a; ZINTERSTORE d 0 a; ZUNION 2 a; ZUNION x a; ZUNION 1 a WEIGHTS x; ZUNION 1 a AGGREGATE AVG; ZDIFF 1 a WEIGHTS 1; ZINTERCARD 1 a LIMIT -1; ZUNIONSTORE d 1 a WITHSCORES",
        "(ERR at least 1 input key is needed for 'zunion' command); \
         (ERR at least 1 input key is needed for 'zinterstore' command); (ERR syntax error); \
         (ERR value is not an integer or out of range); (ERR weight value is not a float); \
         (ERR syntax error); (ERR syntax error); (ERR LIMIT can't be negative); (ERR syntax error)",
    );
}

#[test]
fn members_are_drawn_at_random() {
    check_in_both(
        "ZADD z 1 a; ZRANDMEMBER z; ZRANDMEMBER z 5; ZRANDMEMBER z -3; ZRANDMEMBER z -2 WITHSCORES; ZRANDMEMBER z 0; ZRANDMEMBER m; ZRANDMEMBER m 1",
        "1; a; [a]; [a a a]; [a '1' a '1']; []; nil; []",
        "1; a; [a]; [a a a]; [[a '1'] [a '1']]; []; nil; []",
    );
    check(
        "ZADD z 1 a 2 b 3 c; ZRANDMEMBER z 3; ZRANDMEMBER z 9; ZRANDMEMBER z -9223372036854775808; ZRANDMEMBER z 1 FOO",
        "3; [a b c]; [a b c]; \
         (ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807); \
         (ERR syntax error)",
    );
}

#[test]
fn a_scan_visits_every_member_once() {
    check(
        "ZADD z 1 a 2 b; ZSCAN z 0; ZSCAN z 0 MATCH a*; ZSCAN m 0; ZSCAN z x; ZSCAN z 0 COUNT 0; ZSCAN z 0 FOO",
        "2; ['0' [a '1' b '2']]; ['0' [a '1']]; ['0' []]; (ERR invalid cursor); (ERR syntax error); (ERR syntax error)",
    );
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut left: BTreeSet<String> = (0..1_000).map(|number| format!("m{number}")).collect();
    for (score, member) in left.iter().enumerate() {
        client.call(&["ZADD", "z", &score.to_string(), member]);
    }
    let mut cursor = String::from("0");
    loop {
        let mut page = client
            .call(&["ZSCAN", "z", &cursor, "COUNT", "50"])
            .elements();
        for element in page.remove(1).elements().chunks(2) {
            assert!(left.remove(&element[0].render()), "visited once");
        }
        cursor = page.remove(0).render().trim_matches('\'').into();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(left, BTreeSet::new());
}

#[test]
fn sorted_sets_are_as_in_redis() {
    compare(
        "SET s v; ZADD s 1 a; ZADD s x a; ZADD s XX 1 a; ZINCRBY s 1 a; ZREM s a; ZCARD s; ZSCORE s a; ZMSCORE s a; ZRANK s a; ZREVRANK s a
         SET s v; ZCOUNT s 1 2; ZCOUNT s x 2; ZLEXCOUNT s - +; ZRANGE s 0 1; ZRANGE s x 1; ZRANGESTORE d s 0 1; ZREVRANGE s 0 1; ZRANGEBYSCORE s 1 2
         SET s v; ZREMRANGEBYRANK s 0 1; ZREMRANGEBYSCORE s 1 2; ZREMRANGEBYLEX s - +; ZPOPMIN s; ZPOPMAX s 1; ZMPOP 1 s MIN; BZPOPMIN s 0.01; BZMPOP 0.01 1 s MIN
         SET s v; ZRANDMEMBER s; ZRANDMEMBER s 1; ZUNION 1 s; ZINTER 2 m s FOO; ZDIFFSTORE d 1 s; ZINTERCARD 1 s; ZSCAN s 0; ZSCAN s x
         ZADD; ZADD z; ZADD z 1; ZINCRBY z 1; ZREM z; ZCARD; ZSCORE z; ZMSCORE z; ZRANK z; ZCOUNT z 1; ZRANGE z 0; ZRANGESTORE d z 0; ZPOPMIN; ZMPOP 1 z
         ZUNION 1; ZUNIONSTORE d 1; ZINTERCARD 1; ZSCAN z; BZPOPMIN z; BZMPOP 0 1 z; ZREMRANGEBYRANK z 0; ZRANDMEMBER; ZREVRANGEBYLEX z -
         ZADD z NX; ZADD z NX 1; ZADD z NX XX; ZADD z FOO 1 a; ZADD z ch nx gt 1 a; ZADD z incr 1 a 1; ZADD z '' a; ZADD z '1 ' a; ZADD z 0x10 a; ZSCORE z a
         ZADD z 1 a 1 b; ZADD z CH 1 a 2 b 3 c; ZADD z GT CH 0 a 3 b 1 d; ZADD z LT CH 0 a 9 b 1 e; ZADD z NX CH 9 a 9 f; ZRANGE z 0 -1 WITHSCORES
         ZADD z 5 a; ZADD z GT INCR 0 a; ZADD z LT INCR 1 a; ZADD z XX GT INCR 3 a; ZADD z CH INCR 1 a; ZADD z INCR x a; ZADD z INCR 1.5 b
         ZINCRBY z x a; ZINCRBY z nan a; ZINCRBY z 3 a; ZINCRBY z -3 a; ZINCRBY z inf a; ZINCRBY z -inf a; ZINCRBY z 1e400 a
         ZADD z inf a -inf b 0 c 0.25 d 1e21 e 123456789012 f; ZRANGE z 0 -1 WITHSCORES; ZCOUNT z -inf inf; ZCOUNT z (-inf (+inf; ZRANGEBYSCORE z inf inf
         ZADD z 1 a 2 b 3 c 4 d; ZRANGE z 0 -1 REV; ZRANGE z -2 -1 REV WITHSCORES; ZRANGE z 4 1 BYSCORE; ZRANGE z 4 1 BYSCORE REV; ZRANGE z (4 (1 REV BYSCORE WITHSCORES LIMIT 0 1
         ZADD z 1 a 2 b 3 c 4 d; ZRANGE z 1 4 BYSCORE LIMIT 1; ZRANGE z 1 4 BYSCORE LIMIT x 1; ZRANGE z 1 4 BYSCORE LIMIT 1 x; ZRANGE z 1 4 LIMIT 0 -1; ZRANGE z 1 4 BYSCORE LIMIT 2 0
         ZADD z 1 a 2 b 3 c 4 d; ZRANGEBYSCORE z ( 3; ZRANGEBYSCORE z '' 3; ZRANGEBYSCORE z (x 3; ZRANGEBYSCORE z 1 3 BYSCORE; ZRANGEBYSCORE z 1 3 REV; ZREVRANGEBYSCORE z 3 1 WITHSCORES
         ZADD z 1 a 2 b 3 c 4 d; ZREVRANGE z 0 -1 WITHSCORES; ZREVRANGE z -1 0; ZREVRANGE z 1 2; ZREVRANGE z 0 1 LIMIT 0 1; ZREVRANGE z 0 1 BYSCORE; ZREVRANGE z x 1
         ZADD z 0 a 0 b 0 c 0 d 0 aa; ZRANGEBYLEX z - +; ZRANGEBYLEX z - -; ZRANGEBYLEX z + +; ZRANGEBYLEX z (a (a; ZRANGEBYLEX z [a [a; ZRANGEBYLEX z [c [a; ZRANGEBYLEX z [ [b
         ZADD z 0 a 0 b 0 c 0 d 0 aa; ZRANGEBYLEX z ( (b LIMIT 1 1; ZRANGEBYLEX z +a -; ZRANGEBYLEX z '' +; ZRANGEBYLEX z - + BYLEX; ZREVRANGEBYLEX z [c -; ZREVRANGEBYLEX z + [b LIMIT 1 9; ZLEXCOUNT z (aa +
         ZADD z 1 a 2 b 3 c; ZRANGESTORE d z 0 -1 WITHSCORES; ZRANGESTORE d z 2 3 BYSCORE; ZRANGE d 0 -1 WITHSCORES; ZRANGESTORE d z + - BYLEX REV LIMIT 0 2; ZRANGESTORE d z 5 9; EXISTS d
         ZADD z 1 a 2 b 3 c 4 d; ZREMRANGEBYRANK z 2 1; ZREMRANGEBYRANK z -9 0; ZREMRANGEBYRANK z x 0; ZREMRANGEBYSCORE z x 0; ZREMRANGEBYSCORE z (3 +inf; ZREMRANGEBYLEX z x y; ZRANGE z 0 -1
         ZADD z 1 a 2 b 3 c 4 d; ZPOPMIN z 1; ZPOPMAX z 1; ZPOPMIN z; ZPOPMAX z 9; ZPOPMIN z; ZPOPMIN z 2; ZPOPMIN z -1; ZPOPMIN z x; ZPOPMIN z 1 2
         ZADD z 1 a 2 b 3 c 4 d; ZMPOP 1 z MIN; ZMPOP 2 m z MAX COUNT 2; ZMPOP 1 m MIN; ZMPOP 0 z MIN; ZMPOP 1 z UP; ZMPOP 2 z MIN; ZMPOP 1 z MIN COUNT 0; ZMPOP 1 z MIN COUNT 1 COUNT 2
         ZADD z 1 a 2 b 3 c 4 d; BZPOPMIN m z 0; BZPOPMAX z m 0; BZMPOP 0 1 z MIN COUNT 5; BZPOPMIN z 0.01; BZPOPMAX z x; BZPOPMIN z -1; BZMPOP x 1 z MIN; BZMPOP 0.01 1 z MIN
         ZADD z 1 a 2 b; ZRANDMEMBER z 5; ZRANDMEMBER z x; ZRANDMEMBER z 1 FOO; ZRANDMEMBER z 1 WITHSCORES FOO; ZRANDMEMBER z x FOO; ZRANDMEMBER z -4611686018427387904 WITHSCORES; ZRANDMEMBER m -5
         ZADD a 1 x 2 y; ZADD b 3 y 4 z; SADD s x z; ZUNION 3 a b s WITHSCORES; ZINTER 2 a s WITHSCORES; ZDIFF 2 a s WITHSCORES; ZDIFF 2 s a WITHSCORES; ZUNION 1 s WITHSCORES WEIGHTS 2.5
         ZADD a 1 x 2 y; ZADD b 3 y 4 z; ZUNION 2 a b WEIGHTS 1; ZUNION 2 a b WEIGHTS 1 x; ZUNION 2 a b WEIGHTS 1 2 WITHSCORES AGGREGATE MIN; ZUNION 2 a b AGGREGATE; ZUNION 2 a b FOO; ZINTER 2 a b LIMIT 1
         ZADD a 1 x 2 y; ZUNION 2 a a WITHSCORES; ZINTER 2 a a WITHSCORES; ZDIFF 2 a a; ZINTERSTORE a 2 a a WEIGHTS 2 3; ZRANGE a 0 -1 WITHSCORES; ZUNIONSTORE d 9223372036854775807 a; ZUNIONSTORE d -1 a
         ZADD a 1 x 2 y; SADD s x y; ZINTERCARD 2 a s; ZINTERCARD 2 a s LIMIT 1; ZINTERCARD 2 a s LIMIT 0; ZINTERCARD 2 a s LIMIT x; ZINTERCARD 2 a s LIMIT; ZINTERCARD 2 a s WEIGHTS 1 2; ZINTERCARD 0 a
         ZADD z 1 a 2.5 b inf c; ZSCAN z 0; ZSCAN z 0 MATCH b COUNT 5; ZSCAN z 0 COUNT x; ZSCAN z 0 COUNT; ZSCAN z 0 MATCH; ZSCAN m 0 FOO; ZSCAN z -x",
    );
}

#[test]
fn bounds_by_score_are_read_as_by_c() {
    compare(
        "ZADD z 1 a; ZCOUNT z ' -5' ' 5'; ZCOUNT z '( 0' '(\\x095'; ZCOUNT z ' ' 5; ZCOUNT z '' 5; ZCOUNT z ( 5
        ZADD z 0 a 1 b; ZCOUNT z '\\x00abc' 0; ZRANGEBYSCORE z '(0\\x00abc' 5; ZCOUNT z '0 ' 5; ZCOUNT z '\\x0b1' 1
        ZADD z 1 a; ZREMRANGEBYSCORE z 0 '\\n1'; ZRANGE z ' 0' 1 BYSCORE; ZREVRANGEBYSCORE z '+1' ' +0'",
    );
}
