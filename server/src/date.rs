//! The `date` header field, made once a second.

use std::{
    cell::RefCell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;

const SECONDS_A_DAY: u64 = 86_400;
/// Days from 1 March of the year 0 (of the calendar of today) to 1 January 1970.
const DAYS_BEFORE_EPOCH: u64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const DAYS_AN_ERA: u64 = 146_097;

thread_local! {
    /// One a thread: no lock, and a clone of it costs a reference count.
    static CACHE: RefCell<Option<Cached>> = const { RefCell::new(None) };
}

struct Cached {
    value: HeaderValue,
    until: Instant,
}

/// The value for a response that is made `now`.
pub(crate) fn value(now: Instant) -> HeaderValue {
    CACHE.with_borrow_mut(|cache| match cache {
        Some(cached) if now < cached.until => cached.value.clone(),
        _ => {
            let time = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let left = Duration::from_secs(1)
                .saturating_sub(Duration::from_nanos(u64::from(time.subsec_nanos())));
            let value = HeaderValue::try_from(imf_fixdate(time.as_secs()))
                .unwrap_or_else(|_| HeaderValue::from_static(""));
            *cache = Some(Cached {
                value: value.clone(),
                until: now + left,
            });
            value
        }
    })
}

/// A time as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn imf_fixdate(seconds: u64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb",
    ];
    let days = seconds / SECONDS_A_DAY;
    let of_day = seconds % SECONDS_A_DAY;
    // Years begin in March here, so that the leap day is the last of its year.
    let shifted = days + DAYS_BEFORE_EPOCH;
    let era = shifted / DAYS_AN_ERA;
    let day_of_era = shifted % DAYS_AN_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // 153 days are five months in a row, from March or from August.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400 + u64::from(month >= 10);
    let name = |names: &[&'static str], index: u64| {
        usize::try_from(index)
            .ok()
            .and_then(|index| names.get(index))
            .copied()
            .unwrap_or_default()
    };
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        name(&WEEKDAYS, days % 7),
        name(&MONTHS, month),
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(imf_fixdate(seconds), expected);
        }
    }

    #[test]
    fn every_day_of_400_years_follows_the_one_before() {
        let mut before = (31, 11);
        for days in 0..DAYS_AN_ERA {
            let date = imf_fixdate(days * SECONDS_A_DAY);
            let day: u32 = date.get(5..7).unwrap().parse().unwrap();
            let month = date.get(8..11).unwrap().to_owned();
            let months = [
                "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
            ];
            let month = months.iter().position(|name| *name == month).unwrap();
            let next = day == before.0 + 1 && month == before.1;
            let first = day == 1 && month == (before.1 + 1) % 12 && before.0 >= 28;
            assert!(next || first, "{date} after {before:?}");
            before = (day, month);
        }
    }

    #[test]
    fn a_value_is_made_once_a_second() {
        let now = Instant::now();
        let first = value(now);
        assert_eq!(first.as_bytes().len(), 29);
        assert_eq!(value(now), first);
    }
}
