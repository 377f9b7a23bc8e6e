// What somebody sees who uses SMART's JavaScript client in a launched app: a request as JSON on standard input.
import { text } from 'node:stream/consumers';
import smart from 'fhirclient';

const { base, token, patient, types, prefer, count } = JSON.parse(await text(process.stdin));
const launched = { serverUrl: base, tokenResponse: { patient, access_token: token } };
const client = smart({ headers: {} }, {}, {}).client(launched);
const headers = prefer ? { Prefer: prefer } : {};
const every = { pageLimit: 0, flat: true };

const names = (resources) => resources.map(({ resourceType, id }) => [resourceType, id]);
const attempt = async (asked) => {
  try {
    return await asked;
  } catch (error) {
    return { status: error.status ?? null, message: error.message };
  }
};

const page = count ? `&_count=${count}` : '';
const searches = {};
const ofPatient = {};
for (const type of types) {
  const url = `${type}?patient=${patient}${page}`;
  searches[type] = await attempt(client.request({ url, headers }, every).then(names));
  // Which parameter names the patient it learns from /metadata.
  ofPatient[type] = await attempt(client.patient.request({ url: type, headers }, every).then(names));
}
console.log(JSON.stringify({ searches, ofPatient, read: await attempt(client.patient.read()) }));
