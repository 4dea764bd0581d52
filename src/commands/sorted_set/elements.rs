//! How members and their scores are written.

use crate::resp::reply::Reply;

/// An array of members, or of members with their scores: in pairs in RESP3, one after the other
/// in RESP2.
pub(super) struct Elements<'r> {
    reply: &'r mut dyn Reply,
    with_scores: bool,
    in_pairs: bool,
}

impl<'r> Elements<'r> {
    /// Begins an array of `count` elements.
    pub(super) fn begin(reply: &'r mut dyn Reply, count: usize, with_scores: bool) -> Elements<'r> {
        let in_pairs = with_scores && reply.protocol() > 2;
        let is_flat = with_scores && !in_pairs;
        reply.array(if is_flat { 2 * count } else { count });
        Elements {
            reply,
            with_scores,
            in_pairs,
        }
    }

    /// Begins an array of `count` pairs, whatever the protocol.
    pub(super) fn begin_pairs(reply: &'r mut dyn Reply, count: usize) -> Elements<'r> {
        reply.array(count);
        Elements {
            reply,
            with_scores: true,
            in_pairs: true,
        }
    }

    /// Begins an array in which each of `count` members and each score is an element, whatever the
    /// protocol.
    pub(super) fn begin_flat(reply: &'r mut dyn Reply, count: usize) -> Elements<'r> {
        reply.array(2 * count);
        Elements {
            reply,
            with_scores: true,
            in_pairs: false,
        }
    }

    /// Begins an array of a key, one member and its score.
    pub(super) fn begin_keyed(reply: &'r mut dyn Reply, key: &[u8]) -> Elements<'r> {
        reply.array(3);
        reply.bulk(key);
        Elements {
            reply,
            with_scores: true,
            in_pairs: false,
        }
    }

    /// Writes the next element.
    pub(super) fn write(&mut self, (member, score): (&[u8], f64)) {
        if self.in_pairs {
            self.reply.array(2);
        }
        self.reply.bulk(member);
        if self.with_scores {
            self.reply.double(score);
        }
    }
}
