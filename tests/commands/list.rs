//! Lists.

use crate::support::check::{check, compare};

#[test]
fn elements_are_pushed_at_both_ends() {
    check(
        "RPUSH l a b; LPUSH l x y; RPUSH l z; LRANGE l 0 -1; LLEN l; LLEN m",
        "2; 4; 5; [y x a b z]; 5; 0",
    );
    check(
        "LPUSHX l a; RPUSHX l a; EXISTS l; RPUSH l a; RPUSHX l b c; LPUSHX l z; LRANGE l 0 -1",
        "0; 0; 0; 1; 3; 4; [z a b c]",
    );
}

#[test]
fn elements_are_popped_and_an_emptied_list_is_gone() {
    check(
        "RPUSH l a b c d e; LPOP l; RPOP l; LPOP l 2; RPOP l 5; EXISTS l; LPOP l; LPOP l 1",
        "5; a; e; [b c]; [d]; 0; nil; nil",
    );
    check(
        "RPUSH l a b c; RPOP l 2; LPOP l 0; LRANGE l 0 -1; LPOP m 0",
        "3; [c b]; []; [a]; nil",
    );
    check(
        "LPOP l -1; RPOP l x; SET l v; LPOP l; LPOP l 1; LPOP l x",
        "(ERR value is out of range, must be positive); \
         (ERR value is out of range, must be positive); OK; \
         (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (ERR value is out of range, must be positive)",
    );
    check(
        "LPOP l 1 2",
        "(ERR wrong number of arguments for 'lpop' command)",
    );
}

#[test]
fn a_stretch_is_returned_or_kept() {
    check(
        "RPUSH l a b c d e; LRANGE l 1 2; LRANGE l -2 -1; LRANGE l -100 100; LRANGE l 3 1; LRANGE l 5 9",
        "5; [b c]; [d e]; [a b c d e]; []; []",
    );
    check(
        "RPUSH l a b c d e; LTRIM l 1 -2; LRANGE l 0 -1; LTRIM l 5 1; EXISTS l; LTRIM l 0 1",
        "5; OK; [b c d]; OK; 0; OK",
    );
    check(
        "LRANGE m a 1; LTRIM m 1 b; LRANGE m 0 9223372036854775808",
        "(ERR value is not an integer or out of range); \
         (ERR value is not an integer or out of range); \
         (ERR value is not an integer or out of range)",
    );
    check(
        "RPUSH l a b c; LRANGE l -9223372036854775808 9223372036854775807; \
         LTRIM l -9223372036854775808 9223372036854775807; LLEN l",
        "3; [a b c]; OK; 3",
    );
}

#[test]
fn elements_are_read_and_replaced_by_position() {
    check(
        "RPUSH l a b c; LINDEX l 0; LINDEX l -1; LINDEX l 3; LINDEX l -4; LINDEX m 0; LINDEX m x; LINDEX l x",
        "3; a; c; nil; nil; nil; nil; (ERR value is not an integer or out of range)",
    );
    check(
        "RPUSH l a b c; LSET l 0 x; LSET l -1 z; LRANGE l 0 -1; LSET l 3 q; LSET l -4 q; LSET m 0 q",
        "3; OK; OK; [x b z]; (ERR index out of range); (ERR index out of range); (ERR no such key)",
    );
    check(
        "RPUSH l a c; LINSERT l BEFORE c b; LINSERT l after c d; LINSERT l BEFORE x y; LINSERT m AFTER a b; LRANGE l 0 -1; LINSERT l INTO a b",
        "2; 3; 4; -1; 0; [a b c d]; (ERR syntax error)",
    );
}

#[test]
fn elements_are_removed_by_value_from_either_end() {
    check(
        "RPUSH l a b a c a b; LREM l 2 a; LRANGE l 0 -1; LREM l -1 b; LRANGE l 0 -1; LREM l 0 a; LRANGE l 0 -1; LREM l 0 x; LREM m 0 a",
        "6; 2; [b c a b]; 1; [b c a]; 1; [b c]; 0; 0",
    );
    check("RPUSH l a a a; LREM l 0 a; EXISTS l", "3; 3; 0");
}

#[test]
fn positions_of_an_element_are_found() {
    check(
        "RPUSH p a b c 1 2 3 c c; LPOS p c; LPOS p c RANK 2; LPOS p c RANK -1; LPOS p c COUNT 0; LPOS p c RANK -2 COUNT 0; LPOS p c COUNT 0 MAXLEN 3; LPOS p x; LPOS p x COUNT 1; LPOS m c; LPOS m c COUNT 0",
        "8; 2; 6; 7; [2 6 7]; [6 2]; [2]; nil; []; nil; []",
    );
    check(
        "LPOS p c RANK 0; LPOS p c COUNT -1; LPOS p c MAXLEN -1; LPOS p c RANK; LPOS p c RANK -9223372036854775808",
        "(ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list); \
         (ERR COUNT can't be negative); (ERR MAXLEN can't be negative); (ERR syntax error); \
         (ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807)",
    );
}

#[test]
fn elements_move_between_lists_and_around_one() {
    check(
        "RPUSH a 1 2 3; LMOVE a b LEFT RIGHT; LMOVE a b RIGHT LEFT; LRANGE a 0 -1; LRANGE b 0 -1; LMOVE a b LEFT LEFT; EXISTS a; LMOVE a b LEFT LEFT",
        "3; '1'; '3'; ['2']; ['3' '1']; '2'; 0; nil",
    );
    check(
        "RPUSH a x y z; RPOPLPUSH a a; LRANGE a 0 -1; LMOVE a a LEFT RIGHT; LRANGE a 0 -1; RPOPLPUSH m a",
        "3; z; [z x y]; z; [x y z]; nil",
    );
    check(
        "RPUSH a x; SET s v; LMOVE a s LEFT LEFT; LMOVE s a LEFT LEFT; LMOVE m s LEFT LEFT; LLEN a; LMOVE a b UP LEFT",
        "1; OK; (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value); nil; 1; (ERR syntax error)",
    );
}

#[test]
fn a_list_of_one_turned_around_keeps_its_deadline() {
    check(
        "RPUSH a x; PEXPIREAT a 4102444800000; RPOPLPUSH a a; PEXPIRETIME a; LRANGE a 0 -1",
        "1; 1; x; 4102444800000; [x]",
    );
}

#[test]
fn the_first_list_that_is_there_gives() {
    check(
        "RPUSH b 1 2 3; LMPOP 2 a b LEFT; LMPOP 2 a b RIGHT COUNT 5; LMPOP 2 a b LEFT; EXISTS b",
        "3; [b ['1']]; [b ['3' '2']]; nil; 0",
    );
    check(
        "LMPOP 0 a LEFT; LMPOP x a LEFT; LMPOP 2 a LEFT; LMPOP 1 a UP; LMPOP 1 a LEFT COUNT 0; LMPOP 1 a LEFT COUNT 1 COUNT 1; LMPOP 9223372036854775807 a LEFT",
        "(ERR numkeys should be greater than 0); (ERR numkeys should be greater than 0); \
         (ERR syntax error); (ERR syntax error); (ERR count should be greater than 0); \
         (ERR syntax error); (ERR syntax error)",
    );
}

#[test]
fn a_long_list_keeps_its_order() {
    let elements: Vec<String> = (0..3_000).map(|number| format!("e{number}")).collect();
    check(
        &format!(
            "RPUSH l {}; LLEN l; LINDEX l 1500; LRANGE l 2997 -1; LREM l 0 e1500; LINDEX l 1500; \
             LINSERT l BEFORE e1501 new; LINDEX l 1500; LTRIM l 1499 1501; LRANGE l 0 -1",
            elements.join(" ")
        ),
        "3000; 3000; e1500; [e2997 e2998 e2999]; 1; e1501; 3000; new; OK; [e1499 new e1501]",
    );
}

#[test]
fn lists_are_as_in_redis() {
    compare(
        "SET s v; LPUSH s a; LPUSHX s a; LLEN s; LRANGE s 0 1; LRANGE s x 1; LINDEX s 0; LSET s 0 a; LSET s x a
         SET s v; LINSERT s BEFORE a b; LREM s 0 a; LREM s x a; LTRIM s 0 1; LTRIM s x 1; LPOS s a; LPOP s; RPOP s 1
         SET s v; LMPOP 1 s LEFT; LMPOP 2 m s LEFT; BLPOP s 0.01; BLPOP m s 0.01; BLMPOP 0.01 1 s LEFT
         SET s v; RPOPLPUSH s m; RPUSH l a; RPOPLPUSH l s; LRANGE l 0 -1; BRPOPLPUSH l s 0.01; BLMOVE s l LEFT LEFT 0.01
         LPUSH; LPUSH l; LPUSHX l; LPOP; RPOP; LLEN; LRANGE l 0; LINDEX l; LSET l 0; LINSERT l BEFORE a; LREM l 0; LTRIM l 0
         LPOS l; LMOVE a b LEFT; RPOPLPUSH a; LMPOP 1 a; BLPOP a; BRPOP; BLMOVE a b LEFT LEFT; BRPOPLPUSH a b; BLMPOP 0 1 a
         LPOP l 1 2; RPOP l 1 2; LPOP l x; LPOP l -1; LPOP l 9223372036854775808; LPOP l 9223372036854775807
         RPUSH l a b c; LPOP l 9223372036854775807; LPOP l 1; RPOP l 0
         RPUSH l a b c d; LREM l -9223372036854775807 a; LREM l 9223372036854775807 b; LRANGE l 0 -1
         RPUSH l a b a b a; LREM l -2 a; LRANGE l 0 -1; LREM l 1 b; LRANGE l 0 -1
         RPUSH l a b c a b c a; LPOS l a RANK 2; LPOS l a RANK -2; LPOS l a RANK 4; LPOS l a RANK -4 COUNT 2; LPOS l c COUNT 1
         RPUSH l a b c a b c a; LPOS l a COUNT 0 MAXLEN 4; LPOS l a RANK -1 COUNT 0 MAXLEN 4; LPOS l b MAXLEN 1; LPOS l a MAXLEN 0
         RPUSH l a; LPOS l a RANK x; LPOS l a COUNT x; LPOS l a MAXLEN x; LPOS l a FOO 1; LPOS l a COUNT; LPOS l a RANK 0 FOO
         LPOS m a RANK 0; LPOS m a COUNT 2; LPOS m a; LPOS l a RANK 9223372036854775807; LPOS l a rank 1 rank 2 count 3
         RPUSH l a b; LMOVE l l LEFT LEFT; LMOVE l l RIGHT RIGHT; LMOVE l l LEFT RIGHT; LRANGE l 0 -1; LMOVE l m left right
         RPUSH l a b; LMOVE l m LEFT UP; LMOVE l m UP UP; BLMOVE l m UP LEFT x; BLMOVE l m LEFT UP 0; BLMOVE m l LEFT LEFT x
         RPUSH l 1 2 3 4 5; LMPOP 3 m n l RIGHT COUNT 2; LMPOP 1 l left count 9223372036854775807; LMPOP 1 l LEFT
         LMPOP -1 l LEFT; LMPOP 1 l; LMPOP 1 LEFT; LMPOP 1 l LEFT COUNT; LMPOP 1 l LEFT COUNT x; LMPOP 1 l LEFT COUNT -1; LMPOP 1 l LEFT FOO 1
         RPUSH l 1 2 3 4 5; BLPOP m l 0; BRPOP l m 0; BLMOVE l m LEFT RIGHT 0; BRPOPLPUSH l m 0; BLMPOP 0 2 n l LEFT COUNT 5; LRANGE m 0 -1
         BLPOP m 0.01; BRPOP m n 0.01; BLMOVE m n LEFT RIGHT 0.01; BRPOPLPUSH m n 0.01; BLMPOP 0.01 1 m LEFT
         BLPOP m x; BLPOP m -1; BLPOP m nan; BLMOVE m n LEFT LEFT -0.5; BRPOPLPUSH m n x; BLMPOP x 1 m LEFT; BLMPOP -1 1 m LEFT; BLMPOP 1 0 m LEFT
         RPUSH l '' 'a b'; LRANGE l 0 -1; LPOS l ''; LREM l 0 ''; LINDEX l 0
         LTRIM m 0 1; LTRIM m x 1; LSET m x a; LSET m 0 a; LINDEX m x; LREM m x a; LREM m 0 a; LINSERT m FOO a b",
    );
}

#[test]
fn what_is_taken_is_read_before_the_timeout() {
    compare(
        "BLMPOP x 0 k LEFT
        BLMPOP -1 1 k NOWHERE
        BLMPOP -1 1 k LEFT COUNT 0
        BLMPOP -1 1 k LEFT
        BZMPOP x 0 k MIN
        BZMPOP -1 1 k NOWHERE
        BZMPOP -1 1 k MIN",
    );
}
