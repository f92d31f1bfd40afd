//! Request bodies: bounded in size and time, JSON where there is to be one, nothing where there is not.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{FromRequest, HttpRequest, dev, error};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codes::Code;
use crate::problem::Problem;

/// The most bytes of a body.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body, read into `T`, and its bytes.
pub(crate) struct Json<T> {
    pub(crate) value: T,
    pub(crate) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let media_type = check_media_type(request);
        let payload = Payload::from_request(request, payload);
        Box::pin(async move {
            let bytes = read(payload.await).await?;
            if bytes.is_empty() {
                return Err(Problem::new(Code::MissingBody, "the request needs a JSON body"));
            }
            media_type?;
            Ok(Self { value: parse(&bytes)?, bytes })
        })
    }
}

/// A JSON body that may be absent.
pub(crate) struct OptionalJson<T>(pub(crate) Json<T>);

impl<T: DeserializeOwned + Default> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let media_type = check_media_type(request);
        let payload = Payload::from_request(request, payload);
        Box::pin(async move {
            let bytes = read(payload.await).await?;
            if bytes.is_empty() {
                return Ok(Self(Json { value: T::default(), bytes }));
            }
            media_type?;
            Ok(Self(Json { value: parse(&bytes)?, bytes }))
        })
    }
}

/// The fields of an object, each once, not understood yet.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(serde::de::Error::custom(format!("duplicate field `{name}`")));
            }
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

/// What is wrong with a field of this name, that is to be a `T`.
pub(crate) fn field<T: DeserializeOwned>(name: &str, value: &Value) -> Option<Problem> {
    let error = serde_path_to_error::deserialize::<_, T>(value).err()?;
    Some(refusal_under(&pointer_to(name), &error))
}

/// The pointer to a field of the body.
pub(crate) fn pointer_to(name: &str) -> String {
    format!("/{}", escape(name))
}

/// The body of a route that takes none.
pub(crate) struct NoBody;

impl FromRequest for NoBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let payload = Payload::from_request(request, payload);
        Box::pin(async move {
            if read(payload.await).await?.is_empty() {
                Ok(Self)
            } else {
                Err(Problem::new(Code::UnexpectedBody, "the request takes no body"))
            }
        })
    }
}

fn check_media_type(request: &HttpRequest) -> Result<(), Problem> {
    let header = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = header.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let merge_patch = essence == "application/merge-patch+json" && request.method() == "PATCH";
    if essence == "application/json" || merge_patch {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "the body is to be application/json"))
}

async fn read(payload: Result<Payload, actix_web::Error>) -> Result<Bytes, Problem> {
    let malformed = |error: &dyn fmt::Display| Problem::new(Code::MalformedRequest, error.to_string()).closing();
    let mut payload = payload.map_err(|error| malformed(&error))?;
    let whole = async {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error: error::PayloadError| malformed(&error))?;
            if bytes.len() + chunk.len() > MAX_BODY {
                let detail = format!("the body is larger than {MAX_BODY} bytes");
                return Err(Problem::new(Code::BodyTooLarge, detail).closing());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    };
    let late = |_| Problem::new(Code::RequestTimeout, "the body did not arrive in time").closing();
    tokio::time::timeout(PATIENCE, whole).await.map_err(late)?
}

/// Reads a `T` from the text of a JSON object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Where a mistake stands costs half as much again to know, so who made none does not pay for it.
    serde_json::from_slice(bytes).map(|Object(value)| value).or_else(|_| parse_and_point(bytes))
}

/// Reads a `T` as [`parse`] does, and says where it cannot.
fn parse_and_point<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| refusal(&error))?;
    json.end().map_err(|error| Problem::new(Code::MalformedJson, error.to_string()))?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    refusal_under("", error)
}

/// What is wrong with what stands at `parent`.
fn refusal_under(parent: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let message = error.inner().to_string();
    if !error.inner().is_data() {
        return Problem::new(Code::MalformedJson, message);
    }
    // The path is told by the pointer, and the place in the text helps nobody.
    let detail = message.split(" at line ").next().unwrap_or(&message);
    let pointer = format!("{parent}{}", pointer(error.path()));
    let named = |prefix: &str| detail.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    if let Some(field) = named("unknown field `") {
        return Problem::at(Code::UnknownField, field_pointer(&pointer, field), "is not a field of this request");
    }
    if let Some(field) = named("missing field `") {
        return Problem::at(Code::MissingField, field_pointer(&pointer, field), "is missing");
    }
    if let Some(field) = named("duplicate field `") {
        return Problem::at(Code::DuplicateField, field_pointer(&pointer, field), "stands twice");
    }
    Problem::at(code(&pointer, detail), pointer, detail)
}

/// The code of a value that does not fit, by the field it is in.
fn code(pointer: &str, detail: &str) -> Code {
    if detail.starts_with("invalid type") || detail.starts_with("invalid length") {
        return Code::WrongType;
    }
    // A template has the fields of a machine.
    match pointer.strip_prefix("/template").unwrap_or(pointer).split('/').nth(1) {
        Some("name" | "cluster_name") => Code::InvalidName,
        Some("tags" | "add_tags" | "remove_tags") => Code::InvalidTags,
        _ => Code::InvalidValue,
    }
}

/// Makes a JSON pointer (RFC 6901) of a path. An unknown field ends the path of its own error, so it is left out there.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn field_pointer(parent: &str, field: &str) -> String {
    let last = format!("/{}", escape(field));
    if parent.ends_with(&last) { parent.to_owned() } else { format!("{parent}{last}") }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A JSON object read into `T`. By itself a struct is read from an array of its fields, too.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// For an optional field: absent is nothing, but null is refused.
pub(crate) fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(json: D) -> Result<Option<T>, D::Error> {
    T::deserialize(json).map(Some)
}

/// For an optional field that is written as a text: absent is nothing, but null is refused.
pub(crate) fn parsed<'de, T, D>(json: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    parsed_one(json).map(Some)
}

/// For a field that is written as a text.
pub(crate) fn parsed_one<'de, T, D>(json: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    String::deserialize(json)?.parse().map_err(serde::de::Error::custom)
}

/// For a field of a merge patch: absent is no change, null takes it back to what it is without one.
pub(crate) fn or_default<'de, T, D>(json: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(json).map(|value| Some(value.unwrap_or_default()))
}

/// For a field of a merge patch that has no value of its own to go back to: absent is no change, null takes it away.
pub(crate) fn or_none<'de, T, D>(json: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(json).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudm_domain::{Name, Tags};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Sample {
        name: Name,
        #[serde(default, deserialize_with = "or_default")]
        tags: Option<Tags>,
        #[serde(default, deserialize_with = "not_null")]
        start: Option<bool>,
    }

    #[test]
    fn every_mistake_has_its_code_and_place() {
        let cases = [
            ("", Code::MalformedJson, ""),
            ("{", Code::MalformedJson, ""),
            (r#"{"name":"a"} x"#, Code::MalformedJson, ""),
            ("[]", Code::WrongType, ""),
            (r#"["a",[],true]"#, Code::WrongType, ""),
            (r#"{"name":7}"#, Code::WrongType, "/name"),
            (r#"{"name":null}"#, Code::WrongType, "/name"),
            (r#"{"name":"a","start":null}"#, Code::WrongType, "/start"),
            ("{}", Code::MissingField, "/name"),
            (r#"{"name":"a","nmae":"b"}"#, Code::UnknownField, "/nmae"),
            (r#"{"name":"a","name":"b"}"#, Code::DuplicateField, "/name"),
            (r#"{"name":"a b"}"#, Code::InvalidName, "/name"),
            (r#"{"name":"a","tags":["x","y z"]}"#, Code::InvalidTags, "/tags/1"),
            (r#"{"name":"a","tags":["x","x"]}"#, Code::InvalidTags, "/tags"),
            (r#"{"name":"a","tags":["x",1]}"#, Code::WrongType, "/tags/1"),
        ];
        for (text, code, pointer) in cases {
            let problem = parse::<Sample>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.code, code, "{text}: {problem}");
            let told = problem.response("x");
            assert_eq!(told.status(), code.status());
            assert!(problem.to_string().contains(pointer), "{text}: {problem}");
        }
    }

    #[test]
    fn null_takes_a_value_away_in_a_patch_only() {
        let sample: Sample = parse(br#"{"name":"a","tags":null}"#).unwrap();
        assert_eq!(sample.tags, Some(Tags::default()));
    }
}
