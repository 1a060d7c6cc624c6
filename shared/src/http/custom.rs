//! Reads a service's own claims into a type: `AccessToken<MyClaims>`.

use serde::{
    Deserializer,
    de::{DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Error, Map, Value};

use crate::verify::Claims;

/// Reads the custom claims of a token as a `C`. Reserved claims are not among them, so they can't fill a `C`.
pub(super) fn read<C: DeserializeOwned>(claims: &Claims) -> Result<C, Error> {
    C::deserialize(Custom(&claims.custom))
}

/// The custom claims; `()` ignores them.
struct Custom<'c>(&'c Map<String, Value>);

impl<'de> Deserializer<'de> for Custom<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
