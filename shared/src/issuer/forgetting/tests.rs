use std::ops::Range;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

#[test]
fn a_clock_that_was_set_forward_makes_nothing_forgotten() {
    let (second, year) = (Duration::from_secs(1), Duration::from_hours(24 * 365));
    let mut slowest = Slowest::default();
    assert_eq!(slowest.now(START, second), START);
    assert_eq!(slowest.now(START.after(second), second * 2), START.after(second));
    assert_eq!(slowest.now(START.after(year), second * 3), START.after(second * 2));
    let back = START.before(Duration::from_mins(5));
    assert_eq!(slowest.now(back, second * 4), back);
    assert_eq!(slowest.now(START, second * 5), back.after(second));
}

#[test]
fn a_clock_that_was_set_right_is_followed_after_two_days() {
    let hour = Duration::from_hours(1);
    let mut slowest = Slowest::default();
    slowest.now(Timestamp::default(), Duration::ZERO);
    let at = |slowest: &mut Slowest, hours: u32| slowest.now(START.after(hour * hours), hour * hours);
    let followed: Vec<_> =
        (1..=49).map(|hours| at(&mut slowest, hours) == START.after(hour * hours)).collect();
    assert!(followed[..47].iter().all(|followed| !followed));
    assert!(followed[48]);
}

/// By when, in seconds after the start, what a verifier forgets has expired: each time it does within `uptime` seconds, looking
/// twice a second at a clock that is a day ahead from one second to another.
fn forgotten_by(ahead: Range<u64>, uptime: u64) -> Vec<i64> {
    let mut forgetting = Forgetting::beginning_at(Duration::ZERO);
    let looks = (0..=uptime * 2).map(|look| Duration::from_millis(look * 500));
    let due = looks.filter_map(|uptime| {
        let is_ahead = ahead.contains(&uptime.as_secs());
        let wall = START.after(uptime + if is_ahead { Duration::from_hours(24) } else { Duration::ZERO });
        forgetting.due(wall, uptime)
    });
    due.map(|by| by.unix_seconds() - START.unix_seconds()).collect()
}

#[test]
fn it_is_time_each_minute_after_the_first_quarter_of_an_hour() {
    assert!(forgotten_by(0..0, 899).is_empty());
    assert_eq!(forgotten_by(0..0, 1_020), [900, 960, 1_020]);
}

#[test]
fn a_clock_that_happens_to_be_ahead_when_it_is_first_time_is_not_followed() {
    assert_eq!(forgotten_by(890..910, 960), [900, 960]);
}

#[test]
fn a_clock_that_was_ahead_at_the_start_is_not_followed_when_it_was_set_right() {
    assert_eq!(forgotten_by(0..890, 960), [900, 960]);
}
