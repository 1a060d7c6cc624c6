//! Guides as text. There is nothing to call here.

#[cfg(feature = "http")]
pub mod from_flask_jwt_extended {
    #![doc = include_str!("../docs/from-flask-jwt-extended.md")]

    /// Each error and behaviour of Flask-JWT-Extended, with the test that shows its counterpart here.
    pub mod facts {
        #![doc = include_str!("../docs/flask-jwt-extended-facts.md")]
    }
}
