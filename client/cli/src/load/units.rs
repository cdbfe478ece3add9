//! Numbers, times and rates of the command line.

use std::time::Duration;

/// The most requests in a second.
const MAX_PACE: u64 = 100_000_000;

/// `1000`, `10k`, `1M`.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let wrong = || "give a number of 1 or more, such as 1000, 10k or 1M".to_owned();
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, 1_000_000),
            None => (text, 1),
        },
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let number = number.checked_mul(factor).ok_or_else(wrong)?;
    if number == 0 {
        Err(wrong())
    } else {
        Ok(number)
    }
}

/// `500us`, `500ms`, `10s`, `2m`, `1h`; a number alone is seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 500us, 20ms, 10s, 2m or 1h".to_owned();
    let units = [
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 0.001),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let unit = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1.0));
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let time = Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())?;
    // Far enough for any test, and near enough for every clock.
    let longest = Duration::from_secs(30 * 24 * 3600);
    if time.is_zero() || time > longest {
        return Err("give more than 0, and 30 days at most".to_owned());
    }
    Ok(time)
}

/// `500`, `500/s`, `10k/s` or `30/m`: in a second.
pub(super) fn pace(text: &str) -> Result<f64, String> {
    let units = [("/s", 1.0), ("/m", 60.0), ("/h", 3600.0)];
    let unit = units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (digits, seconds) = unit.unwrap_or((text, 1.0));
    let requests = number(digits).map_err(|_| "write it as 500, 500/s, 10k or 30/m")?;
    if requests > MAX_PACE {
        return Err(format!("give {MAX_PACE} at most"));
    }
    #[expect(clippy::cast_precision_loss, reason = "at most MAX_PACE")]
    let requests = requests as f64;
    Ok(requests / seconds)
}

/// `0.01` or `1%`.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let (digits, factor) = match text.strip_suffix('%') {
        Some(digits) => (digits, 0.01),
        None => (text, 1.0),
    };
    let rate = digits.parse::<f64>().map(|rate| rate * factor);
    match rate {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("write it as 0.01 or 1%, from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_have_units() {
        assert_eq!(number("10k"), Ok(10_000));
        assert_eq!(number("2M"), Ok(2_000_000));
        assert!(number("0").is_err() && number("k").is_err() && number("-1").is_err());
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        for micros in ["500us", "500µs", "500μs"] {
            assert_eq!(time(micros), Ok(Duration::from_micros(500)));
        }
        assert_eq!(time("1.5"), Ok(Duration::from_millis(1500)));
        assert!(time("0s").is_err() && time("5x").is_err() && time("1e300s").is_err());
        assert_eq!(rate("1%"), Ok(0.01));
        assert_eq!((pace("10k/s"), pace("30/m")), (Ok(10_000.0), Ok(0.5)));
        assert!(pace("0").is_err() && pace("5/x").is_err() && pace("200M").is_err());
        assert!(rate("2").is_err() && rate("NaN").is_err());
    }
}
