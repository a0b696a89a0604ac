// A service as there are many: Express, the MongoDB driver, its own routes. `outage-proof.diff` is all that has to change for it to
// go on answering while its database is away.
import express from 'express';
import { MongoClient } from 'mongodb';

const client = new MongoClient(process.env.MONGODB_URL ?? 'mongodb://127.0.0.1:27017/school');
await client.connect();
const headmasters = client.db().collection('headmasters');

const app = express();
app.use(express.json());

app.get('/headmasters', async ({ query }, response) => {
  const filter = query.school === undefined ? {} : { school: String(query.school) };
  response.json(await headmasters.find(filter).sort({ name: 1 }).limit(100).toArray());
});

app.get('/headmasters/count', async (_request, response) => {
  response.json({ count: await headmasters.countDocuments() });
});

app.get('/headmasters/:id', async ({ params }, response) => {
  const found = await headmasters.findOne({ _id: params.id });
  if (found === null) response.status(404).json({ error: `there is no headmaster ${params.id}` });
  else response.json(found);
});

app.post('/headmasters', async ({ body }, response) => {
  const { insertedId } = await headmasters.insertOne({ _id: body.id, name: body.name, school: body.school });
  response.status(201).json({ id: insertedId });
});

app.use((error, _request, response, _next) => {
  const { code, retryAfterMs, message } = error;
  if (retryAfterMs !== undefined) response.set('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  response.status(code === 11000 ? 409 : 503).json({ error: message, code });
});

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
