//! Which fields enter the table.

use crate::StaticIndex;

/// What to do with a field that no table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Enter it.
    Index,
    /// Spell it out: it is unlikely to come again before it is evicted.
    Skip,
    /// Spell it out, and tell intermediaries never to index it (section 7.1.3).
    Never,
}

/// A cookie shorter than this is guessed too easily from the sizes of blocks.
const SHORT_COOKIE: usize = 20;

#[inline]
pub(super) fn policy(static_name: Option<StaticIndex>, name: &[u8], value: &[u8]) -> Policy {
    let Some(place) = static_name else {
        return other_name(name);
    };
    match POLICIES.get(usize::from(place.number())) {
        Some(Policy::Never) if name == b"cookie" && value.len() >= SHORT_COOKIE => Policy::Index,
        Some(policy) => *policy,
        None => Policy::Index,
    }
}

fn other_name(name: &[u8]) -> Policy {
    match name {
        b"proxy-authentication-info" | b"authentication-info" => Policy::Never,
        _ => Policy::Index,
    }
}

/// By index of the static table's names.
static POLICIES: [Policy; 62] = {
    let mut policies = [Policy::Index; 62];
    // :path, age, content-length, etag, if-modified-since, if-none-match, location,
    // set-cookie
    let mut place = 0;
    let skip = [4, 21, 28, 34, 40, 41, 46, 55];
    while place < skip.len() {
        policies[skip[place]] = Policy::Skip;
        place += 1;
    }
    // authorization, cookie, proxy-authorization
    let never = [23, 32, 49];
    let mut place = 0;
    while place < never.len() {
        policies[never[place]] = Policy::Never;
        place += 1;
    }
    policies
};
