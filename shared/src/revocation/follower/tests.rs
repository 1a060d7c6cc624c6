use super::*;

#[test]
fn a_clock_that_was_set_forward_makes_nothing_forgotten() {
    let (second, year) = (Duration::from_secs(1), Duration::from_hours(24 * 365));
    let start = Timestamp::from_unix_seconds(1_800_000_000);
    let mut slowest = Slowest::default();
    assert_eq!(slowest.now(start, second), start);
    assert_eq!(slowest.now(start.after(second), second * 2), start.after(second));
    assert_eq!(slowest.now(start.after(year), second * 3), start.after(second * 2));
    let back = start.before(Duration::from_mins(5));
    assert_eq!(slowest.now(back, second * 4), back);
    assert_eq!(slowest.now(start, second * 5), back.after(second));
}

#[test]
fn a_clock_that_was_set_right_is_followed_after_two_days() {
    let hour = Duration::from_hours(1);
    let true_start = Timestamp::from_unix_seconds(1_800_000_000);
    let mut slowest = Slowest::default();
    slowest.now(Timestamp::default(), Duration::ZERO);
    let at = |slowest: &mut Slowest, hours: u32| slowest.now(true_start.after(hour * hours), hour * hours);
    let followed: Vec<_> =
        (1..=49).map(|hours| at(&mut slowest, hours) == true_start.after(hour * hours)).collect();
    assert!(followed[..47].iter().all(|followed| !followed));
    assert!(followed[48]);
}
