use super::*;

fn canonical(text: &str) -> Result<String, InvalidEmail> {
    text.parse::<Email>().map(|email| email.0)
}

#[test]
fn one_address_has_one_form() {
    for text in [
        "test@example.com",
        "  Test@Example.COM\n",
        "ｔest@example.com",
        "test＠example.com",
        "TEST@EXAMPLE.COM",
        "test@ｅxample．com",
        "𝐭𝐞𝐬𝐭@example.com",
        "\u{a0}test@example.com\u{2003}",
    ] {
        assert_eq!(canonical(text).as_deref(), Ok("test@example.com"), "{text:?}");
    }
    for text in
        ["a@münchen.de", "a@MÜNCHEN.de", "a@mu\u{308}nchen.de", "a@xn--mnchen-3ya.de", "A@XN--MNCHEN-3YA.DE"]
    {
        assert_eq!(canonical(text).as_deref(), Ok("a@münchen.de"), "{text:?}");
    }
    for text in ["用户@例え.jp", "用户@例え。jp", "用户@例え｡jp", "用户@xn--r8jz45g.jp"] {
        assert_eq!(canonical(text).as_deref(), Ok("用户@例え.jp"), "{text:?}");
    }
}

/// Characters that nobody sees, that move others, or that have no meaning.
const HIDDEN: &str = "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{180b}\u{180e}\u{200b}\u{200c}\
    \u{200d}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2061}\
    \u{2064}\u{2066}\u{2067}\u{2069}\u{206f}\u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\
    \u{fff0}\u{fff9}\u{1bca0}\u{1d173}\u{e0001}\u{e0041}\u{e0100}\u{e000}\u{f8ff}\u{f0000}\
    \u{378}\u{0}\u{7}\u{1b}\u{7f}\u{9b}\u{2028}\u{2029}\u{fffe}\u{fdd0}";

#[test]
fn characters_that_nobody_sees_or_that_move_others_are_refused_wherever_they_stand() {
    for c in HIDDEN.chars() {
        for text in [format!("te{c}st@example.com"), format!("test@exa{c}mple.com")] {
            assert_eq!(canonical(&text), Err(InvalidEmail::Character(c)), "U+{:04X}", u32::from(c));
        }
    }
    for c in " \u{a0}\u{2003}\u{3000}\u{2800}\u{1d159}€→😀“·()<>[]:;,\\\"".chars() {
        let text = format!("te{c}st@example.com");
        assert!(matches!(canonical(&text), Err(InvalidEmail::Character(_))), "{text:?}");
        assert!(canonical(&format!("test@exa{c}mple.com")).is_err(), "{text:?}");
    }
    // The sentence shows the character's number and not the character.
    let sentence = InvalidEmail::Character('\u{202e}').to_string();
    assert!(sentence.contains("U+202E") && !sentence.contains('\u{202e}'), "{sentence}");
}

#[test]
fn a_word_of_several_scripts_is_refused() {
    for text in [
        "tеst@example.com",
        "teѕt@example.com",
        "tes\u{3c4}@example.com",
        "аdmin@example.com",
        "admin@exаmple.com",
        "admin@xn--exmple-4nf.com",
        "ραypal@example.com",
        "pаypal+x@example.com",
        "x+pаypal@example.com",
        "a.pаypal@example.com",
        "caf\u{435}@example.com",
        "abс@example.com",
        "ԁan@example.com",
        "ʜеllo@example.com",
        "testԱ@example.com",
        "testა@example.com",
        "testب@example.com",
        "testא@example.com",
        "testक@example.com",
        "testก@example.com",
        "Ꭺdmin@example.com",
        "ひらбез@example.com",
        "한글ひら@example.com",
        "中ㄅ한@example.com",
        "παбв@example.com",
        "ab١@example.com",
        "١۱@example.com",
        "1\u{661}@example.com",
        "a1\u{967}@example.com",
        "\u{967}\u{9e7}@example.com",
    ] {
        assert_eq!(canonical(text), Err(InvalidEmail::MixedScripts), "{text:?}");
    }
}

#[test]
fn a_word_of_one_script_or_of_a_usual_mixture_is_accepted() {
    for text in [
        "müller@example.com",
        "иван@example.com",
        "иван.petrov@example.com",
        "иван+shop@example.com",
        "ελληνικά@example.com",
        "山田太郎@example.com",
        "やまだ太郎@example.com",
        "ヤマダtaro@example.com",
        "スーパー@example.com",
        "山田ー@example.com",
        "王ㄅㄆ@example.com",
        "김철수@example.com",
        "金철수kim@example.com",
        "محمد@example.com",
        "משה@example.com",
        "राम@example.com",
        "สมชาย@example.com",
        "info@пример.рф",
        "сосо@пример.рф",
        "o'brien@example.com",
        "a_b-c.d+e@example.com",
        "a@b",
        "a@1.2.3.4",
        "łukasz@example.pl",
        "đorđe@example.rs",
        "nguyễn@example.vn",
        "٣٤@example.com",
    ] {
        assert!(canonical(text).is_ok(), "{text:?}: {:?}", canonical(text));
    }
}

#[test]
fn a_word_that_only_looks_latin_is_refused() {
    for text in [
        "сосо@example.com",
        "аре@example.com",
        "a@аррӏе.com",
        "νικ@example.com",
        "а@example.com",
        "x.а@example.com",
    ] {
        assert_eq!(canonical(text), Err(InvalidEmail::LooksLatin), "{text:?}");
    }
    assert_eq!(canonical("a@xn--80ak6aa92e.com"), Err(InvalidEmail::LooksLatin), "the A-label of the same");
}

#[test]
fn what_is_no_address_is_refused() {
    let long = format!("{}@example.com", "a".repeat(65));
    for text in ["", "a", "@b", "a@", "a@b@c", "@", &"a".repeat(300), &"a".repeat(2_000), &long] {
        assert_eq!(canonical(text), Err(InvalidEmail::Shape), "{text:?}");
    }
    let (label, domain) = (format!("a@{}.com", "b".repeat(64)), format!("a@{}com", "bcd.".repeat(63)));
    for text in [
        "a@-b.com",
        "a@b-.com",
        "a@b..com",
        "a@.com",
        "a@b.com.",
        "a@b_c.com",
        "a@[1.2.3.4]",
        "a@b/c",
        "a@b%c",
        "a@b:25",
        "a@xn--a",
        "a@xn--ls8h.la.xn--\u{e4}",
        "a@\u{301}b.com",
        &label,
        &domain,
    ] {
        assert_eq!(canonical(text), Err(InvalidEmail::Domain), "{text:?}");
    }
    assert_eq!(canonical("\u{301}a@b.com"), Err(InvalidEmail::Character('\u{301}')));
}

#[test]
fn a_canonical_form_is_stable_whatever_the_character() {
    let mut accepted = 0;
    for c in ('\u{1}'..='\u{2ffff}').filter(|&c| u32::from(c) < 0x700 || u32::from(c) % 31 == 0) {
        for text in
            [format!("a{c}1@example.com"), format!("a@x{c}.example"), format!("{c}{c}@{c}{c}.example")]
        {
            let Ok(once) = text.parse::<Email>() else { continue };
            accepted += 1;
            assert_eq!(canonical(once.as_str()).as_deref(), Ok(once.as_str()), "{text:?}");
            // The form of before, made canonical, is the same: an account has one key, however it was stored.
            if let Some(earlier) = earlier_form(&text) {
                assert_eq!(canonical(&earlier).as_deref(), Ok(once.as_str()), "{text:?}");
                assert_eq!(Email::spellings(&text)[0].as_str(), earlier, "{text:?}");
            }
            assert!(Email::spellings(&text).contains(&once));
            assert_eq!(Email::key(&text), once.as_str());
        }
    }
    assert!(accepted > 3_000, "{accepted}");
}

#[test]
fn an_account_of_an_earlier_version_is_found_as_it_is_stored() {
    for (typed, stored) in [
        ("Te\u{200b}st@example.com", "te\u{200b}st@example.com"),
        ("tеst@example.com", "tеst@example.com"),
        ("a@xn--mnchen-3ya.de", "a@xn--mnchen-3ya.de"),
        ("a@münchen.de", "a@xn--mnchen-3ya.de"),
        ("a@xn--mnchen-3ya.de", "a@münchen.de"),
        ("\"a\"@b", "\"a\"@b"),
    ] {
        assert!(Email::spellings(typed).contains(&Email(stored.to_owned())), "{typed:?}");
        assert_eq!(Email::key(typed), Email::key(stored));
        assert!(Email(stored.to_owned()).is_same(&Email(earlier_form(typed).unwrap())));
    }
    assert_eq!(Email::spellings("a@xn--mnchen-3ya.de")[0].as_str(), "a@xn--mnchen-3ya.de");
    assert_eq!(Email::spellings("test@example.com").len(), 1);
    assert_eq!(Email::spellings("no address"), []);
    assert_eq!(Email::key("no address"), "");
}
