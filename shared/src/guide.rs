//! Guides, as text: nothing to call.

#[cfg(feature = "http")]
pub mod from_flask_jwt_extended {
    #![doc = include_str!("../docs/from-flask-jwt-extended.md")]

    /// Fact by fact: each error and behaviour, with the test that shows it here.
    pub mod facts {
        #![doc = include_str!("../docs/flask-jwt-extended-facts.md")]
    }
}
