// Asks a gateway once whole and once streamed by OpenAI's SDK for JavaScript; prints what came as one JSON line.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];

const whole = await client.chat.completions.create({ model: "auto", messages });
const runner = client.chat.completions.stream({ model: "auto", messages: [{ role: "user", content: "Hello again" }] });
const streamed = await runner.finalChatCompletion();
let refused = null;
try {
  await client.chat.completions.create({ model: "auto", messages: [] });
} catch (error) {
  refused = { status: error.status, param: error.param, type: error.type };
}
const listed = [];
for await (const model of client.models.list()) listed.push(model.id);
console.log(
  JSON.stringify({
    whole: whole.choices[0].message.content,
    streamed: streamed.choices[0].message.content,
    finish: streamed.choices[0].finish_reason,
    refused,
    listed,
  }),
);
